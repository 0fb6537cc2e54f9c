"""Write tables of the code into the pages of the documentation.

A table stands between ``<!-- generated: NAME ARGUMENT… -->`` and ``<!-- end -->``. The name is that of a function in
``TABLES`` below. The descriptions come from docstrings and data of the package.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import airflow.sdk

import airflow_provider_engagement

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))
REGION = re.compile(r"(?P<start><!-- generated: (?P<call>[^>]+?) -->\n)(?P<text>.*?)(?P<end><!-- end -->)", re.DOTALL)


@cache
def modules() -> list[ModuleType]:
    package = airflow_provider_engagement
    names = [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    # Retry policies exist since Airflow 3.3. No table describes them.
    skipped = (".__main__",) if hasattr(airflow.sdk, "RetryPolicy") else (".__main__", ".retry_policies")
    return [importlib.import_module(name) for name in names if not name.endswith(skipped)]


def member(name: str) -> Any:
    """Return the class, function or constant of a name, whichever module of the package defines it."""
    found = {id(vars(module)[name]): vars(module)[name] for module in modules() if name in vars(module)}
    if len(found) != 1:
        raise LookupError(f"the package defines {len(found)} members named {name}")
    return next(iter(found.values()))


def markdown(text: str) -> str:
    """Return reStructuredText on one line of Markdown that fits into a cell of a table."""
    text = re.sub(r":\w+:`~?([^`]+)`", lambda role: f"`{role[1].rpartition('.')[2]}`", text)
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


def sentence(text: str) -> str:
    text = markdown(text)
    return text if not text else text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def code(value: object) -> str:
    return f"`{value}`"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [" | ".join(header), " | ".join("---" for _ in header), *(" | ".join(row) for row in rows)]
    return "".join(f"| {line} |\n" for line in lines)


def described_parameters(documented: type) -> dict[str, str]:
    """Return the text of each ``:param name:`` in the docstrings of a class and its bases."""
    described: dict[str, str] = {}
    for cls in reversed(documented.__mro__):
        if cls.__module__.startswith(airflow_provider_engagement.__name__):
            text = inspect.cleandoc(cls.__doc__ or "")
            described |= dict(re.findall(r"^:param (\w+):(.*?)(?=^:|^\S|\Z)", text, re.M | re.S))
    return {name: text.strip() for name, text in described.items()}


def defaults(cls: type) -> dict[str, str]:
    """Return the default of each parameter that the ``__init__`` of a class declares, or ``required``."""
    source = ast.parse(textwrap.dedent(inspect.getsource(vars(cls)["__init__"]))).body[0]
    signature = inspect.signature(vars(cls)["__init__"]).parameters
    found = {argument.arg: "required" for argument in source.args.args[1:]}
    for argument, default in zip(source.args.kwonlyargs, source.args.kw_defaults, strict=True):
        if isinstance(default, ast.Call) and ast.unparse(default.func) == "timedelta":
            found[argument.arg] = code(ast.unparse(default))
        elif isinstance(default, ast.Call):
            # A setting of Airflow, such as conf.getboolean("operators", "default_deferrable").
            section, option = (ast.literal_eval(value) for value in default.args)
            found[argument.arg] = code(f"[{section}] {option}")
        elif default is None:
            found[argument.arg] = "required"
        else:
            found[argument.arg] = code(repr(signature[argument.arg].default))
    return found


def parameters(name: str) -> str:
    """Return the parameters of an operator, without those of all pulls, or of a group of parameters."""
    documented, common = member(name), member("EngagementPullOperator")
    described = described_parameters(documented)
    left_out = defaults(common) if documented is not common and issubclass(documented, common) else {}
    return table(
        ("parameter", "default", "templated", "meaning"),
        (
            (
                code(parameter),
                default,
                "yes" if described[parameter].endswith("(templated)") else "",
                sentence(described[parameter].removesuffix("(templated)").strip()),
            )
            for parameter, default in defaults(documented).items()
            if parameter not in left_out
        ),
    )


def metrics() -> str:
    endpoint = member("Endpoint")

    def age(limit: Any) -> str:
        return f"{limit.days:,} days" if limit else "none"

    def yes_or_no(condition: bool) -> str:
        return "yes" if condition else "no"

    return table(
        (
            "metric",
            "what it counts",
            "totals",
            "series",
            "public",
            "age limit on totals",
            "age limit on series",
            "counts",
        ),
        (
            (
                code(metric.name),
                markdown(metric.meaning),
                yes_or_no(endpoint.TOTALS in metric.endpoints),
                yes_or_no(endpoint.HISTORICAL in metric.endpoints),
                yes_or_no(metric.public),
                age(metric.totals_age_limit),
                age(metric.series_age_limit),
                str(metric.counted),
            )
            for metric in member("METRICS").values()
        ),
    )


def metric_changes() -> str:
    return table(
        ("date", "metric", "endpoints", "change", "effect on stored counts", "source"),
        (
            (
                change.on.isoformat(),
                "all" if change.metric is None else code(change.metric),
                ", ".join(code(endpoint) for endpoint in member("ENDPOINTS") if endpoint in change.endpoints),
                markdown(change.what),
                markdown(change.effect),
                change.source,
            )
            for change in member("METRIC_CHANGES")
        ),
    )


def endpoints() -> str:
    metrics_of = member("metrics_of")
    return table(
        ("endpoint", "path", "Tweets per request", "metrics", "credentials", "time range of the counts"),
        (
            (
                code(endpoint),
                code(rule.path),
                str(rule.tweets_per_request),
                str(max(len(metrics_of(endpoint, auth)) for auth in rule.auths)),
                ", ".join(map(code, rule.auths)),
                markdown(rule.time_range),
            )
            for endpoint, rule in member("ENDPOINTS").items()
        ),
    )


def outcomes() -> str:
    accepted = {*member("ACCEPTED_BY_DEFAULT"), member("Outcome").OK}
    return table(
        ("outcome", "meaning", "what is null or missing", "accepted by default"),
        (
            (code(outcome), sentence(meaning), markdown(missing), "yes" if outcome in accepted else "no")
            for outcome, (meaning, missing) in member("OUTCOME_MEANINGS").items()
        ),
    )


def x_metrics() -> str:
    return table(
        ("group", "metric", "column", "what it counts"),
        (
            (code(metric.group.field), code(metric.name), code(metric.column), markdown(metric.meaning))
            for metric in member("X_METRICS")
        ),
    )


def x_endpoints() -> str:
    return table(
        ("endpoint", "path", "per request", "credentials", "requests of an app", "requests of a user"),
        (
            (
                code(endpoint),
                code(rule.path),
                str(rule.per_request),
                ", ".join(map(code, rule.auths)),
                f"{rule.app_limit:,}" if rule.app_limit else "none",
                f"{rule.user_limit:,}",
            )
            for endpoint, rule in member("X_ENDPOINTS").items()
        ),
    )


def x_prices() -> str:
    return table(
        ("read", "price", "price list of", "applies to", "source"),
        (
            (code(price.read), f"${price.dollars}", price.read_on.isoformat(), markdown(price.applies_to), price.source)
            for price in member("PRICES")
        ),
    )


def x_outcomes() -> str:
    return table(
        ("outcome", "meaning", "what is null or missing"),
        (
            (code(outcome), sentence(meaning), markdown(missing))
            for outcome, (meaning, missing) in member("X_OUTCOME_MEANINGS").items()
        ),
    )


def errors(*names: str) -> str:
    transient = member("TransientError")

    def row(name: str) -> tuple[str, ...]:
        error = member(name)
        meaning, remedy, *_ = (*inspect.cleandoc(error.__doc__).split("\n\n"), "", "")
        if remedy.startswith(":"):
            raise ValueError(f"the docstring of {name} does not say what to do")
        return code(name), sentence(meaning), sentence(remedy), "yes" if issubclass(error, transient) else "no"

    return table(("error", "meaning", "what to do", "retried"), map(row, names))


def switches(name: str) -> str:
    switches = member(name)
    described = described_parameters(switches)
    return table(
        ("switch", "values", "meaning"),
        (
            (code(name), ", ".join(code(json.dumps(value).strip('"')) for value in values), sentence(described[name]))
            for name, values in switches.choices().items()
        ),
    )


def connection_fields() -> str:
    (connection_type,) = member("get_provider_info")()["connection-types"]
    return table(
        ("field", "label in the form", "meaning"),
        (
            (code(name), field["label"], sentence(field["description"]))
            for name, field in connection_type["conn-fields"].items()
        ),
    )


def configuration() -> str:
    (section,) = member("get_provider_info")()["config"].values()
    return table(
        ("option", "type", "default", "example", "meaning"),
        (
            (
                code(name),
                option["type"],
                code(option["default"]) if option["default"] else "",
                code(option["example"]),
                sentence(option["description"]),
            )
            for name, option in section["options"].items()
        ),
    )


def stats() -> str:
    return table(
        ("name", "kind", "tags", "meaning"),
        (
            (code(name), stat.kind, ", ".join(map(code, stat.tags)), sentence(stat.meaning))
            for name, stat in member("STATS").items()
        ),
    )


def columns_in_several_tables() -> dict[str, list[str]]:
    """Return the tables of each column that stands in several with one meaning."""
    tables, meanings = member("TABLES"), member("COLUMN_MEANINGS")
    found: dict[str, list[str]] = {}
    for described in tables.values():
        for column in (*described.key, *described.columns):
            if f"{described.name}.{column}" not in meanings:
                found.setdefault(column, []).append(described.name)
    return {column: names for column, names in found.items() if len(names) > 1}


def type_of(column: str, described: Any) -> str:
    kinds = {
        "string": "string",
        "int64": "integer",
        "bool": "boolean",
        "timestamp[ms, tz=UTC]": "timestamp",
        "date32[day]": "date",
    }
    return kinds[str(member("arrow_schema")(described).field(column).type)]


def columns(name: str) -> str:
    """Return the columns that only this table has, and the names of the others, which ``shared columns`` describes."""
    all_tables = {**member("TABLES"), **member("X_TABLES")}
    described, meanings, shared = all_tables[name], member("COLUMN_MEANINGS"), columns_in_several_tables()
    own = [
        (code(column), type_of(column, described), sentence(meanings.get(f"{name}.{column}", meanings.get(column, ""))))
        for column in (*described.key, *described.columns)
        if name not in shared.get(column, ())
    ]
    if described.metrics:
        same = next(table.name for table in all_tables.values() if table.metrics == described.metrics)
        names = ", ".join(map(code, described.metrics)) if same == name else f"the metrics of {code(same)}"
        own.append((names, "integer", "The counts of the metrics."))
    others = [code(column) for column in described.columns if name in shared.get(column, ())]
    lines = [f"Key: {', '.join(map(code, described.key))}.\n"]
    lines += [f"Other [shared columns](#shared-columns): {', '.join(others)}.\n"] if others else []
    return "\n".join([*lines, table(("column", "type", "meaning"), own)])


def shared_columns() -> str:
    tables, meanings = member("TABLES"), member("COLUMN_MEANINGS")
    return table(
        ("column", "type", "meaning"),
        (
            (code(column), type_of(column, tables[names[0]]), sentence(meanings[column]))
            for column, names in columns_in_several_tables().items()
        ),
    )


def rooms() -> str:
    """Return each room with the first paragraph of its docstring."""
    packages = [module for module in modules() if hasattr(module, "__path__") and module.__name__.count(".") == 1]
    return table(
        ("room", "subject"),
        (
            (code(room.__name__.rpartition(".")[2]), sentence((room.__doc__ or "").partition("\n\n")[0]))
            for room in packages
        ),
    )


TABLES: dict[str, Callable[..., str]] = {
    "rooms": rooms,
    "parameters": parameters,
    "metrics": metrics,
    "metric changes": metric_changes,
    "endpoints": endpoints,
    "outcomes": outcomes,
    "x metrics": x_metrics,
    "x endpoints": x_endpoints,
    "x prices": x_prices,
    "x outcomes": x_outcomes,
    "errors": errors,
    "switches": switches,
    "connection fields": connection_fields,
    "configuration": configuration,
    "stats": stats,
    "columns": columns,
    "shared columns": shared_columns,
}


def generate(call: str) -> str:
    """Return the text of a region.

    :param call: the name of a table and its arguments, such as ``columns tweet_totals``.
    """
    if call in TABLES:
        return TABLES[call]()
    name, *arguments = call.split()
    return TABLES[name](*arguments)


def generated(text: str) -> str:
    """Return a page with its regions as the code describes them now."""
    return REGION.sub(lambda region: f"{region['start']}\n{generate(region['call'])}\n{region['end']}", text)


def regions() -> Iterator[tuple[Path, str]]:
    """Yield the page and the call of every region."""
    for page in PAGES:
        for region in REGION.finditer(page.read_text(encoding="utf-8")):
            yield page, region["call"]


def main() -> int:
    stale = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if (new := generated(text)) != text:
            stale.append(str(page.relative_to(ROOT)))
            if "--check" not in sys.argv:
                page.write_text(new, encoding="utf-8")
    for name in stale:
        print(name, "differs from the code." if "--check" in sys.argv else "is updated.")
    return int("--check" in sys.argv and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
