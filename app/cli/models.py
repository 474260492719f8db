"""`camera-hub models list | pull | optimize`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
)

from app.cli.context import err, out, print_json, print_table, settings

app = typer.Typer(help="Detection models.", no_args_is_help=True)

Name = Annotated[
    str, typer.Argument(help="A name of `models list`, or a path.", show_default=False)
]


@app.command("list")
def list_all(
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """List the models, which one `auto` takes, and how to get the others."""
    from analytics.models.registry import list_models

    found = list_models(settings().models_path)
    if json:
        fields = ("name", "summary", "path", "version", "chosen", "remedy")
        print_json([{field: getattr(m, field) for field in fields} for m in found])
        return
    rows = [
        (
            "auto" if model.chosen else "",
            model.name,
            model.summary,
            model.version if model.path else "not here",
            str(model.path) if model.path else model.remedy,
        )
        for model in found
    ]
    print_table(("", "name", "finds", "version", "where"), rows, "No models.")


@app.command("pull")
def pull_one(name: Name) -> None:
    """Put a model's weights into the models directory, checked against their hash."""
    from analytics.models.files import pull

    with Progress(
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), console=err
    ) as bar:
        task = bar.add_task(f"pulling {name}", total=None)

        def step(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        path = pull(name, settings().models_path, step)
    out.print(f"{name} is at {path}", highlight=False, soft_wrap=True)


@app.command("optimize")
def optimize_one(
    name: Name,
    footage: Annotated[
        Path,
        typer.Option(help="A video, a picture, or a folder of both, from your own cameras."),
    ],
    pictures: Annotated[int, typer.Option(min=16, help="How many pictures to take.")] = 200,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Make an INT8 version calibrated on your own pictures, and measure what it costs and gains."""
    from analytics.models.optimize import optimize
    from core.clock import SystemClock

    with Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=err
    ) as bar:
        made = optimize(
            name,
            footage,
            settings().models_path,
            SystemClock(),
            pictures=pictures,
            progress=_steps(bar),
        )
    figures = {
        "path": str(made.path),
        "pictures": made.pictures,
        "objects": made.objects,
        "recall": round(made.recall, 4),
        "mean_iou": round(made.mean_iou, 4),
        "before_ms": round(made.before_ms, 2),
        "after_ms": round(made.after_ms, 2),
        "speed_ratio": round(made.speed_ratio, 2),
    }
    if json:
        print_json(figures)
        return
    out.print(f"{made.path}", highlight=False, soft_wrap=True)
    out.print(
        f"finds {made.recall:.1%} of the {made.objects} objects the original finds in "
        f"{made.pictures} other pictures, boxes alike to {made.mean_iou:.1%}"
    )
    out.print(
        f"{made.before_ms:.1f} → {made.after_ms:.1f} ms a picture: {made.speed_ratio:.2f} × as fast"
    )


def _steps(bar: Progress) -> Callable[[str, int, int], None]:
    tasks: dict[str, TaskID] = {}

    def step(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=total)
        bar.update(tasks[what], completed=done, total=total)

    return step


@app.command("export")
def export_one(
    file: Annotated[Path, typer.Argument(help="A YOLO .pt file.", show_default=False)],
) -> None:
    """Export a YOLO .pt to OpenVINO beside it; needs the `ultralytics` extra."""
    from analytics.detectors.backend_ultralytics import export_openvino

    settings()
    out.print(f"{export_openvino(file)}", highlight=False, soft_wrap=True)
