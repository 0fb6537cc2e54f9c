"""The command line: ``python -m airflow_provider_engagement report DATASET --out report.html``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from airflow_provider_engagement.exceptions import EngagementError, InvalidQueryError
from airflow_provider_engagement.inputs.report_options import parse_report_options
from airflow_provider_engagement.progress_bar import progress_bar
from airflow_provider_engagement.report.choice import choose
from airflow_provider_engagement.report.dataset_reader import DatasetReader

NOTHING_INSTALLED = "Reports require altair and vl-convert-python. Install airflow-provider-engagement[report]."
STORAGE_PACKAGES = {
    "s3": "apache-airflow-providers-amazon[s3fs]",
    "s3a": "apache-airflow-providers-amazon[s3fs]",
    "gs": "apache-airflow-providers-google",
    "gcs": "apache-airflow-providers-google",
    "abfs": "apache-airflow-providers-microsoft-azure",
    "abfss": "apache-airflow-providers-microsoft-azure",
    "adl": "apache-airflow-providers-microsoft-azure",
}
"""The package that opens the URLs of a scheme."""

OPTIONS = {
    "dataset_path": "DATASET",
    "start": "--start",
    "end": "--end",
    "metrics": "--metrics",
    "granularity": "--granularity",
    "time_zone": "--time-zone",
    "tweet_ids": "--tweet-ids",
}
"""The option of each parameter that an error can name."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return the exit status: 0, or 1 after an error that the message explains.

    :param arguments: the arguments of the command line; those of this process by default.
    """
    options = _parser().parse_args(arguments)
    try:
        _report(options)
    except InvalidQueryError as error:
        print(f"Error: {OPTIONS.get(error.field, error.field)}: {error.problem}. {error.remedy}", file=sys.stderr)
        return 1
    except (EngagementError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_engagement")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    report = commands.add_parser("report", help="write a report about a dataset as one HTML file")
    report.add_argument("dataset", help="the folder of the dataset: a local path, or a URL that Airflow supports")
    report.add_argument("--out", required=True, type=Path, metavar="FILE", help="the HTML file to write")
    report.add_argument(
        "--start", help="the start of the interval, such as 2026-01-05; default: 28 days before the end"
    )
    report.add_argument("--end", help="the end of the interval; default: the end of the dataset")
    report.add_argument(
        "--metrics",
        help="the API's names of metrics, separated by commas; "
        "default: impressions,engagements,favorites,retweets,replies",
    )
    report.add_argument("--granularity", help="the periods of the series: hour or day")
    report.add_argument("--time-zone", help="the IANA name of the time zone of days and times; default: UTC")
    report.add_argument("--tweet-ids", help="Tweet ids, separated by commas; default: all Tweets of the dataset")
    report.add_argument("--title", help="the title of the report")
    report.add_argument("--images", type=Path, metavar="FOLDER", help="also write each plot to this folder")
    report.add_argument("--image-format", default="png", choices=("png", "svg"), help="default: png")
    return parser


def _report(options: argparse.Namespace) -> None:
    if find_spec("altair") is None or find_spec("vl_convert") is None:
        sys.exit(NOTHING_INSTALLED)
    from airflow_provider_engagement.report.contents import images_of, make_report, warning_of
    from airflow_provider_engagement.report.dataset_figures import DatasetFigures
    from airflow_provider_engagement.report.document import to_html
    from airflow_provider_engagement.report.images import ImageFormat

    reader = DatasetReader(**_folder(options.dataset))
    selection = choose(
        reader,
        **parse_report_options(
            start=options.start,
            end=options.end,
            metrics=options.metrics,
            granularity=options.granularity,
            time_zone=options.time_zone,
            tweet_ids=options.tweet_ids,
        ),
    )
    title = {"title": options.title} if options.title else {}
    with progress_bar("Reading the dataset", "figures") as move:
        report = make_report(DatasetFigures(reader, selection), move=move, **title)
    if warning := warning_of(report):
        print(f"Warning: {warning}", file=sys.stderr)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with progress_bar("Drawing the plots", "figures") as move:
        options.out.write_text(to_html(report, move=move), encoding="utf-8")
    print(options.out)
    if options.images is not None:
        options.images.mkdir(parents=True, exist_ok=True)
        for name, content in images_of(report.figures, ImageFormat(options.image_format)):
            (options.images / name).write_bytes(content)
            print(options.images / name)


def _folder(dataset: str) -> dict[str, Any]:
    if "://" not in dataset:
        return {"folder": Path(dataset)}
    from airflow.sdk import ObjectStoragePath

    from airflow_provider_engagement.connections.storage_options import check_user_information, table_address

    check_user_information(dataset, field="dataset")
    folder = ObjectStoragePath(dataset)
    try:
        # Airflow looks for the package of the storage only now.
        _ = folder.fs
    except (ImportError, ValueError) as error:
        scheme = dataset.partition("://")[0]
        package = STORAGE_PACKAGES.get(scheme, f"the Airflow provider whose storage has the scheme {scheme}")
        problem = f"'{dataset}' cannot be opened, because {' '.join(str(error).split())}".removesuffix(".")
        raise InvalidQueryError("dataset", problem, f"Install {package}.") from error
    return {"folder": folder, "address_of": table_address}


if __name__ == "__main__":
    sys.exit(main())
