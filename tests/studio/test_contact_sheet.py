"""Contact sheets: every model on every template in one picture, by a command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from small_glb import box

from glossi_sync.cli import main

FOLDER = Path(__file__).parents[2]


@pytest.mark.renders
def test_a_column_for_each_template_and_a_row_for_each_model(tmp_path: Path) -> None:
    (tmp_path / "a.glb").write_bytes(box())
    out = tmp_path / "sheets" / "sheet.png"
    done = CliRunner().invoke(
        main, ["studio", "contact-sheet", "--tile", "64", "--out", str(out), str(tmp_path / "a.glb")]
    )
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"{out}: 1 models on 6 templates, ")
    picture = np.asarray(Image.open(out).convert("RGB")).astype(int)
    assert picture.shape == (10 + 65, 6 * 65 + 1, 3)
    tiles = [picture[10:74, 1 + column * 65 : 65 + column * 65] for column in range(6)]
    for index, tile in enumerate(tiles):
        assert tile.std() > 5
        for other in tiles[index + 1 :]:
            assert np.abs(tile - other).mean() > 4, "no two templates look alike"


def test_what_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.glb").write_bytes(b"no model")
    done = CliRunner().invoke(
        main, ["studio", "contact-sheet", "--out", str(tmp_path / "a.gif"), str(tmp_path / "a.glb")]
    )
    assert done.exit_code == 1
    assert "a contact sheet is a .jpg, a .webp or a .png file" in done.output
    out = ["--tile", "64", "--out", str(tmp_path / "a.png")]
    done = CliRunner().invoke(main, ["studio", "contact-sheet", *out, str(tmp_path / "b.glb")])
    assert done.exit_code == 1
    assert f"there is no file {tmp_path / 'b.glb'}" in done.output
    (tmp_path / "none").mkdir()
    folder = ["--templates", str(tmp_path / "none")]
    done = CliRunner().invoke(main, ["studio", "contact-sheet", *out, *folder, str(tmp_path / "a.glb")])
    assert "there is no template to show" in done.output
