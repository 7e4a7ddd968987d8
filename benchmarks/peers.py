"""The peers, beside this program on the same work.

    python benchmarks/peers.py --octodns PATH/TO/octodns-sync

*The guide's script* (guide.sh: its steps in curl and jq, its polling every 5 s), 16 at a time by ``xargs``, and one
``glossi-sync apply`` on 64 products: 50 ms until each answer, 2 s for a model, 2 s for a render.

*octoDNS*, the best known reconciler written in Python, planning 100,000 records, and one ``glossi-sync plan`` of as
many products, of which none has changed, each on one core. octoDNS reads both of its sides from YAML files, without
any network; a product has three addresses and a file, and its model is asked about over HTTP.

A peer that is not installed is left out (apt-get install curl jq; pip install octodns, in an environment of its own).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import urllib.request
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from catalogue import GLOSSI_SYNC, environment, write_catalogue
from converged import converged
from delayed_studio import Delayed, delayed_studio
from measuring import Ran, load, run
from plan import CORE, plan

GUIDE = Path(__file__).with_name("guide.sh")
AT_A_TIME = 16
ZONE = "benchmark.example."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=64)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument(
        "--octodns",
        default=os.environ.get("OCTODNS") or shutil.which("octodns-sync"),
        metavar="PATH",
        help="octodns-sync",
    )
    given = parser.parse_args()
    print(f"peers: {_guide(given.products)}; {_octodns(given.octodns, given.records, given.times)}; {load()}")


def _guide(products: int) -> str:
    missing = [program for program in ("bash", "curl", "jq", "xargs") if shutil.which(program) is None]
    if missing:
        return f"the guide's script is left out ({' and '.join(missing)} missing)"
    with tempfile.TemporaryDirectory(prefix="glossi-bench-") as folder:
        spec = write_catalogue(Path(folder) / "catalogue", products)
        with _studio(Path(folder) / "one") as studio:
            theirs = _by_script(studio, spec)
        with _studio(Path(folder) / "other") as studio:
            command = [GLOSSI_SYNC, "apply", "--yes", "-f", str(spec)]
            ours = run(command, env=environment(studio.url, studio.key)).good().seconds
    return f"{products} products by the guide's script {theirs:.1f} s, by glossi-sync apply {ours:.1f} s"


def _by_script(studio: Delayed, spec: Path) -> float:
    listed = spec.parent / "files"
    listed.write_text("\n".join(map(str, sorted(spec.parent.glob("models/*")))) + "\n", encoding="utf-8")
    request = urllib.request.Request(f"{studio.url}/templates", headers={"X-API-Key": studio.key})
    with urllib.request.urlopen(request) as answer:
        template = next(one for one in json.load(answer)["templates"] if one["name"] == "Studio Light")
    env = environment(studio.url, studio.key)
    env |= {"API": studio.url, "KEY": studio.key, "TEMPLATE": template["templateId"]}
    return run(["xargs", "-a", str(listed), "-P", str(AT_A_TIME), "-n", "1", str(GUIDE)], env=env).good().seconds


def _studio(folder: Path) -> AbstractContextManager[Delayed]:
    return delayed_studio(folder, latency=0.05, processing=2, rendering=2)


def _octodns(program: str | None, records: int, times: int) -> str:
    if program is None:
        return "octoDNS is left out (not installed)"
    with tempfile.TemporaryDirectory(prefix="glossi-bench-") as folder:
        config = _write_zone(Path(folder), records)
        command = [program, "--config-file", str(config), "--quiet"]
        theirs = [run(command, core=CORE).good() for _ in range(times)]
        with converged(Path(folder) / "catalogue", records) as made:
            plan(made)
            ours = [plan(made) for _ in range(times)]
    return (
        f"{records} unchanged records planned by octoDNS in {_cost(theirs)}, "
        f"{records} products ({3 * records} addresses) by glossi-sync in {_cost(ours)}"
    )


def _cost(ran: Sequence[Ran]) -> str:
    seconds = statistics.median(one.seconds for one in ran)
    cpu = statistics.median(one.cpu_seconds for one in ran)
    return f"{seconds:.1f} s ({cpu:.1f} s of CPU) and {max(one.peak for one in ran) / 1e6:.0f} MB"


def _write_zone(folder: Path, records: int) -> Path:
    """A zone that is the same in its source and at its target; the configuration that compares them."""
    lines = []
    for number in range(records):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        lines.append(f"sku{number:06}:\n  type: A\n  value: {address}\n")
    for side in ("source", "target"):
        (folder / side).mkdir()
        (folder / side / f"{ZONE}yaml").write_text("".join(lines), encoding="utf-8")
    config = folder / "config.yaml"
    config.write_text(
        f"""\
providers:
  source: {{class: octodns.provider.yaml.YamlProvider, directory: {folder}/source}}
  target: {{class: octodns.provider.yaml.YamlProvider, directory: {folder}/target}}
zones:
  {ZONE}: {{sources: [source], targets: [target]}}
""",
        encoding="utf-8",
    )
    return config


if __name__ == "__main__":
    main()
