"""`bot3 publish`: publish the record to its copy in InfluxDB, and compare both."""

from __future__ import annotations

from typing import Annotated

import typer

from bot3.cli.output import JsonFlag, messages, print_json
from bot3.cli.session import seeded_platform
from bot3.usecases.publishing.check import PublishedCheck
from bot3.usecases.terms import definitions

UNEQUAL = 4


def register(app: typer.Typer) -> None:
    """Add the command group `publish` to the command line."""
    group = typer.Typer(
        no_args_is_help=True,
        help="The record's copy in InfluxDB; Dagster updates it while it runs.",
        epilog=definitions("dead letter", "epoch", "head", "record", "revision"),
    )
    group.command("run")(run)
    group.command("check")(check)
    group.command("replay-dead-letters")(replay_dead_letters)
    app.add_typer(group, name="publish")


def run(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Empty the copy and publish the whole record, not only pending writes.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Publish pending writes: first deletions, then rows, then heads. A repeat changes nothing."""
    with seeded_platform(read_only=False) as platform:
        report = platform.publishing.publish_everything() if everything else platform.publishing.publish()
    if as_json:
        print_json({"published": report})
    elif report is None:
        messages.print("nothing is published: BOT3_INFLUX_URL is empty")
    else:
        messages.print(f"published {report.points} points of {report.writes} writes, deleted {report.deleted}, refused {report.refused}")


def replay_dead_letters(*, as_json: JsonFlag = False) -> None:
    """Write the points again that could not be written (once their cause is corrected), then everything recorded since."""
    with seeded_platform(read_only=False) as platform:
        report = platform.publishing.replay_dead_letters()
    if as_json:
        print_json({"replayed": report})
        return
    messages.print(f"wrote {report.written} points, {report.still_refused + report.published.refused} are still rejected")


def check(*, as_json: JsonFlag = False) -> None:
    """Compare the copy in InfluxDB with the record; exit code 4 if they differ, or if the copy's buckets have a problem."""
    with seeded_platform() as platform:
        problems = platform.publishing.health()
        found = None if problems else platform.publishing.check(now=platform.clock.now())
    if as_json:
        print_json({"problems": problems, "check": found, "is_equal": found is not None and found.is_equal})
    else:
        for text in problems or _told(found):
            messages.print(text)
    if found is None or not found.is_equal:
        raise typer.Exit(UNEQUAL)


def _told(found: PublishedCheck | None) -> list[str]:
    if found is None:
        return []
    lines = [f"{head.noun} {head.version} of {head.known_at} is not published" for head in found.missing]
    lines += [f"{head.noun} {head.version} of {head.known_at} is published, but not in the record" for head in found.extra]
    lines += [f"{noun} in force differ" for noun in found.differing]
    for bot, trades in found.trades.items():
        lines.append(f"{bot}: {trades.record} trades in the record, {trades.published} published")
        for word in ("missing", "extra", "changed"):
            ids = getattr(trades, word)
            lines += [f"{bot}: {word} {', '.join(map(str, ids[:20]))}{' ...' if len(ids) > 20 else ''}"] if ids else []
    return [*lines, f"{found.waiting} writes are pending", "equal" if found.is_equal else "NOT equal"]
