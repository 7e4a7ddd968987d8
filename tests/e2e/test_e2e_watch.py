"""``watch``: what is dropped into a folder comes out as pictures, and nothing but a signal ends it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from counting_studio import Studio
from listening import eventually, free_port, get, hooked, lines, no_webhook_afterwards
from shop import Running, Shop
from triangle import triangle


@pytest.fixture(autouse=True)
def alone(studio: Studio) -> Iterator[None]:
    with no_webhook_afterwards(studio):
        yield


@pytest.fixture
def shop(new_shop: Callable[..., Shop]) -> Shop:
    """A folder that is watched: each model of it on a template, and its pictures brought home."""
    shop = new_shop(
        "watched",
        templates={"light": {"name": "Studio Light"}},
        renderSettings={"web": {"renderShots": False, "imageQuality": 0}},
        catalogues=[
            {
                "rows": "incoming/{sku}.glb",
                "key": "${row.sku}",
                "model": {"name": "${row.sku}", "file": "${row.path}"},
                "project": {"template": "light", "renders": ["web"]},
            }
        ],
        downloads={"to": "pictures", "path": "{project}/{name}.{ext}"},
    )
    (shop.folder / "incoming").mkdir()
    shop.save()
    return shop


def watching(shop: Shop, *options: str) -> tuple[Running, int]:
    """A watch that has looked once, and the port of its metrics."""
    port = free_port()
    running = shop.start("watch", "--format", "json", "--still", "0.4s", "--metrics-port", str(port), *options)
    eventually(lambda: get(port, "/healthz") is not None and runs(port, "converged") + runs(port, "bad spec") > 0)
    return running, port


def metrics(port: int) -> dict[str, float]:
    answer = get(port, "/metrics")
    assert answer is not None
    samples = [line.rpartition(" ") for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in samples}


def runs(port: int, outcome: str) -> float:
    return metrics(port)[f'glossi_sync_runs_total{{outcome="{outcome}"}}']


def pictures(shop: Shop) -> set[str]:
    return {path.partition("/")[0] for path in shop.renders() if not path.endswith(".part")}


def test_what_is_dropped_into_the_folder_comes_out_as_pictures_and_a_bad_spec_is_waited_for(
    shop: Shop, studio: Studio
) -> None:
    hook = hooked(shop)
    running, port = watching(shop, "--every", "1h", "--listen", str(hook))
    assert runs(port, "bad spec") == 1, "the folder is empty, so that its pattern finds nothing"
    shop.write("incoming/lamp.glb", "lamp")
    eventually(lambda: pictures(shop) == {"lamp"})
    eventually(lambda: runs(port, "converged") == 1)
    ready = get(port, "/readyz")
    assert ready is not None and ready.status_code == 200

    # A copy that takes its time is one model, not several broken ones.
    whole = triangle("slow")
    with (shop.folder / "incoming" / "slow.glb").open("wb", buffering=0) as file:
        for start in range(0, len(whole), len(whole) // 5 + 1):
            file.write(whole[start : start + len(whole) // 5 + 1])
            time.sleep(0.2)
    eventually(lambda: pictures(shop) == {"lamp", "slow"})
    eventually(lambda: metrics(port).get('glossi_sync_addresses{kind="render",phase="completed"}') == 2)
    assert (runs(port, "failed"), runs(port, "bad spec")) == (0, 1)
    had = runs(port, "converged")

    # A mistake is told, and nothing happens until it is put right.
    good = (shop.folder / "glossi.yaml").read_text(encoding="utf-8")
    (shop.folder / "glossi.yaml").write_text(good.replace("template: light", "template: lihgt"), encoding="utf-8")
    eventually(lambda: runs(port, "bad spec") == 2)
    not_ready = get(port, "/readyz")
    assert not_ready is not None and not_ready.status_code == 503
    (shop.folder / "glossi.yaml").write_text(good.replace("imageQuality: 0", "imageQuality: 1"), encoding="utf-8")
    eventually(lambda: metrics(port)['glossi_sync_calls_total{call="POST /renders"}'] == 3, 20)
    eventually(lambda: runs(port, "converged") > had)
    assert metrics(port)["glossi_sync_last_success_timestamp_seconds"] > time.time() - 60
    assert metrics(port)['glossi_sync_deliveries_total{status="200"}'] >= 6

    running.signal(signal.SIGTERM)
    ran = shop.finish(running)
    assert "did you mean 'light'?" in ran.err
    assert "Waiting until" in ran.err
    assert ran.err.endswith("Stopped.\n")
    made = [line for line in lines(ran.out) if line["event"] == "summary" and line["steps"]]
    assert sum(one["steps"].get("upload", 0) for one in made) == 2, "each file was sent once, whole"
    assert not any(one["failed"] for one in made)
    assert shop.settled()


def test_sigterm_while_it_runs_finishes_and_records_what_is_under_way(shop: Shop, studio: Studio) -> None:
    shop.write("incoming/lamp.glb", "lamp")
    studio.hold("PUT upload", "before")
    port = free_port()
    running = shop.start("watch", "--format", "json", "--still", "0.4s", "--metrics-port", str(port))
    studio.wait_until_held()
    alive = get(port, "/healthz")
    assert alive is not None and alive.status_code == 200
    running.signal(signal.SIGTERM)
    assert running.until("stopping")
    studio.let_go("through")
    summary = lines(shop.finish(running).out)[-1]
    assert summary["stopped"]
    assert summary["steps"] == {"record": 1, "upload": 1}
    assert json.loads(shop.run("history", "--format", "json").out)[0]["outcome"] == "stopped"
    applied = shop.applied()
    assert applied.actions()["model.lamp"] == "resume"
    assert applied.summary["converged"]


def test_a_service_that_is_away_ends_nothing(shop: Shop) -> None:
    shop.write("incoming/lamp.glb", "lamp")
    shop.spec["service"] = {"endpoint": f"http://127.0.0.1:{free_port()}/api/v1", "apiKey": "glsi_x"}
    shop.save()
    port = free_port()
    running = shop.start("watch", "--every", "1s", "--still", "0.1s", "--metrics-port", str(port))
    eventually(lambda: get(port, "/healthz"))
    eventually(lambda: runs(port, "failed") >= 1, 60)
    running.signal(signal.SIGINT)
    assert "The run failed: " in shop.finish(running).err
