"""Writes a configuration file and makes its service use it."""

from runner_sdk import Command, Model, Request, Secret, Target, Timeout, Unreachable, field, log, step, timer


class Params(Model):
    file: str = field("The file to write: absolute.")
    settings: dict[str, str] = field("What it says: a line `name = value` each, in the order of the names.")
    check: list[str] = field(
        "A command that must accept the file, program first. Without, nothing is asked.", default=[]
    )
    unit: str | None = field("The unit to restart when the file is different.", default=None)
    health: str | None = field("The URL that must answer 200 in the end, asked from the target.", default=None)
    token: str | None = field("The secret that the URL wants as a bearer token.", default=None)
    tries: int = field("How often to ask.", default=5, minimum=1, maximum=100)


class Outputs(Model):
    changed: bool = field("Whether the file is different.")
    digest: str = field("Of the file.")
    tries: int = field("How often the URL was asked.", minimum=0)


@step(
    version="0.1.0",
    ssh=["read:${file}", "write:${file}", "exec-read:${check...}", "service:${unit} restart"],
    http=["GET ${health} from target"],
    secrets=["${token}"],
)
def config(params: Params) -> Outputs:
    """writes a configuration file and makes its service use it"""
    target = Target.current()
    log.info(f"`{params.file}` on `{target.name}`: {len(params.settings)} settings")

    # Python orders text by code points, which is the order of its bytes in UTF-8.
    text = "".join(f"{name} = {value}\n" for name, value in sorted(params.settings.items()))
    changed = target.write(params.file, text, mode=0o644)
    if changed and params.check:
        Command(params.check, effect="read").run(target)
    if changed and params.unit:
        target.service(params.unit, "restart")

    tries = wait_until_healthy(target, params) if params.health else 0
    return Outputs(changed=changed, digest=target.digest(params.file), tries=tries)


def wait_until_healthy(target: Target, params: Params) -> int:
    request = Request.get(params.health).via(target).timeout(2)
    if params.token:
        request.header("authorization", Secret.get(params.token).wrap("Bearer "))

    last = ""
    for tried in range(1, params.tries + 1):
        log.progress(tried, params.tries, "tries")
        try:
            status = request.send().status
            if status == 200:
                return tried
            last = f"status {status}"
        except (Unreachable, Timeout) as error:
            last = error.message
        if tried < params.tries:
            timer.sleep(0.1)
    raise Timeout(f"`{params.health}` did not answer 200 (after {params.tries} tries)", last)
