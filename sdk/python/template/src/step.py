"""A step of one's own: puts a message where people who log in see it."""

from runner_sdk import Model, Target, field, log, step


class Params(Model):
    message: str = field("What to say.")
    file: str = field("The file to say it in.")


class Outputs(Model):
    changed: bool = field("Whether the file is different now.")


@step(version="0.1.0", name="{{name}}", ssh=["write:${file}"])
def run(params: Params) -> Outputs:
    """puts a message where people who log in see it"""
    target = Target.current()
    changed = target.write(params.file, f"{params.message}, says {target.name}\n", mode=0o644)
    if changed:
        log.info(f"wrote `{params.file}`")
    return Outputs(changed=changed)
