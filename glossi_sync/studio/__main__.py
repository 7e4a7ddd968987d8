"""``python -m glossi_sync.studio``: a studio for the process that started it, see ``embedded``.

It writes one JSON line to standard output when it is ready (``{"url": …}``), or when another studio has its folder
(``{"busy": …}``), and one when it stays for others though its owner has left (``{"staying": true}``). All imports are
inside the function: worker processes import this module, too.
"""


def main() -> int:
    import argparse  # noqa: PLC0415
    import json  # noqa: PLC0415
    import sys  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    from glossi_sync.studio.data_folder import FolderBusy, StudioError  # noqa: PLC0415
    from glossi_sync.studio.keys import DEFAULT_WORKSPACE  # noqa: PLC0415
    from glossi_sync.studio.serve import serve  # noqa: PLC0415
    from glossi_sync.studio.workshop import FILAMENT  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog="python -m glossi_sync.studio")
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--records", help="the URL of the records' database (default: in the data folder)")
    parser.add_argument("--storage", help="the bucket of the files (default: the data folder)")
    parser.add_argument("--workers", help="worker processes (default: one for each core), or dask://HOST:PORT")
    parser.add_argument("--templates", type=Path, help="folder of the workspace's templates")
    parser.add_argument("--engine", default=FILAMENT, help="module:class of the engine that renders")
    parser.add_argument("--faults", type=Path, help="a file of what is to go wrong on purpose")
    parser.add_argument("--stop-with-stdin", action="store_true", help="stop when standard input ends")
    options = parser.parse_args()

    def say(line: dict[str, object]) -> None:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    try:
        serve(
            options.data,
            host=options.host,
            port=options.port,
            records=options.records,
            storage=options.storage,
            workers=int(options.workers) if (options.workers or "").isdecimal() else options.workers,
            templates={} if options.templates is None else {DEFAULT_WORKSPACE: options.templates},
            engine=options.engine,
            faults=options.faults,
            stop_with_stdin=options.stop_with_stdin,
            on_ready=lambda url: say({"url": url}),
            on_staying=lambda: say({"staying": True}),
        )
    except FolderBusy as error:
        say({"busy": str(error)})
        return 1
    except StudioError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
