"""Parameters of requests: what is accepted, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, TypeVar

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from bluegreen.api.bodies import Version, faults
from bluegreen.api.limits import LINES_LIMIT, LIST_LIMIT, NUMBER_LIMIT
from bluegreen.errors import UsageError


class Query(BaseModel):
    """The parameters of a request, each once; an unknown one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    # Parameters that might be looked for here, and how that is asked for.
    elsewhere: ClassVar[Mapping[str, str]] = {}


class NoQuery(Query):
    """No parameters."""


def _digits(value: object) -> object:
    if isinstance(value, str):
        if not (value.isascii() and value.isdecimal()) or len(value) > 18:
            raise PydanticCustomError("whole_number", "write a whole number")
        return int(value)
    return value


Flag = Literal["0", "1"]
OperationNumber = Annotated[int, Field(ge=0, lt=NUMBER_LIMIT), BeforeValidator(_digits)]


class ProbeQuery(Query):
    probe: Annotated[Flag, Field(description="1: ask the slots how they are")] = "0"


class PageQuery(Query):
    before: Annotated[
        OperationNumber | None, Field(description="only those older than this one, by its id")
    ] = None
    limit: Annotated[
        int, Field(ge=1, le=LIST_LIMIT, description="how many"), BeforeValidator(_digits)
    ] = 20


class PlanQuery(Query):
    elsewhere: ClassVar[Mapping[str, str]] = {
        "build": 'to have it built, POST {"version": …} to the same path'
    }

    version: Annotated[Version, Field(description="which would be deployed")]


class LogQuery(Query):
    operation: Annotated[
        OperationNumber | None, Field(description="its output, instead of the services'")
    ] = None
    phase: Annotated[str | None, Field(description="of an operation, only this phase")] = None
    service: Annotated[str | None, Field(description="only this one, in both slots")] = None
    lines: Annotated[
        int, Field(ge=0, le=LINES_LIMIT, description="of each service"), BeforeValidator(_digits)
    ] = 100
    follow: Annotated[Flag, Field(description="1: go on as more arrives")] = "0"


class LossQuery(Query):
    serving: Annotated[Flag, Field(description="1: while the app serves, what is lost by now")] = (
        "0"
    )


Q = TypeVar("Q", bound=Query)


def read_query(request: web.Request, kind: type[Q]) -> Q:
    """The parameters of the request; UsageError names what is wrong and what would be right."""
    twice = sorted({name for name in request.query if len(request.query.getall(name)) > 1})
    wrong = [f"{name[:60]}: it is given more than once" for name in twice]
    try:
        found = kind.model_validate(dict(request.query))
    except ValidationError as error:
        wrong += faults(error, "query")
    if not wrong:
        return found
    takes = ", ".join(kind.model_fields)
    hints = [hint for name, hint in kind.elsewhere.items() if name in request.query]
    right = f"it takes {takes}, each once" if takes else "leave them out: there are none"
    raise UsageError(
        f"{request.method} {request.path}: the parameters are not as they should be",
        detail=wrong,
        remedy="; ".join([right, *hints]),
    )
