"""Fetch: a version becomes a commit, and the commit a tree of files."""

from __future__ import annotations

from typing import Any

from bluegreen.errors import SourceError, UsageError
from bluegreen.model import OperationKind, PhaseName, Release
from bluegreen.operations.reversing import outlived
from bluegreen.operations.run import Run
from bluegreen.operations.triggers import refuse_failed, refuse_served

LAY_OUT_LIMIT = 600.0  # seconds on top of the source's own time limit


class Fetch:
    """Resolve the version and lay its tree out, or find the tree that is already built."""

    name = PhaseName.FETCH
    leaves_nothing = True

    def limit(self, run: Run) -> float:
        return run.app.settings.source.timeout + LAY_OUT_LIMIT

    def intent(self, run: Run) -> dict[str, Any]:
        return {"version": run.operation.version}

    async def act(self, run: Run) -> dict[str, Any]:
        app, store = run.app, run.app.parts.store
        try:
            run.release = release = await self._resolve(run)
        except SourceError as error:
            run.release = release = await self._kept(run, error)
        if run.operation.automatic:
            refuse_served(app, release)  # of no commit then, that a forge would mark as given up
        await store.resolve_release(run.operation.id, release, run.target)
        if run.operation.automatic:
            await refuse_failed(app, release)
        if run.operation.kind is OperationKind.DEPLOY:
            for unfit in await outlived(app, release):
                raise unfit
        for warning in release.warnings:
            await run.note("warning", message=warning)
        if run.operation.kind is not OperationKind.DEPLOY:
            run.tree = await app.trees.find(
                run.target, version=release.version, commit=release.commit
            )
        found: dict[str, Any] = {"release": release.label, "commit": release.commit}
        if release.signed_by is not None:
            found["signed_by"] = release.signed_by
            await run.say(f"{release.label} is signed by {release.signed_by}")
        if run.tree is not None:
            return found | {"reused": str(run.tree)}
        # What earlier failures and interruptions left behind goes before new space is taken.
        await app.trees.reclaim(await app.needed_trees())
        run.tree = app.trees.path(run.operation.id, run.target)
        await app.trees.lay_out(app.source, release, run.tree, run.target)
        return found

    async def _resolve(self, run: Run) -> Release:
        version = run.operation.version
        if version is None:
            raise UsageError("no version was named", remedy="name a tag, a branch or a commit")
        return await run.app.source.resolve(version, pinned=run.pinned_commit)

    async def _kept(self, run: Run, error: SourceError) -> Release:
        """The release as a tree that is still here holds it; else ``error`` is raised."""
        trees, kind, version = run.app.trees, run.operation.kind, run.operation.version or ""
        if kind is OperationKind.ROLLBACK:
            tree = await trees.find_version(run.target, version)
        else:
            tree = await trees.find(run.target, version=version, commit=run.pinned_commit)
        held = None if tree is None else trees.info(tree)
        source = run.app.settings.source
        # Nobody looks at the signature of a tree.
        asks_for_one = source.verify is not None or source.minisign is not None
        if kind is OperationKind.DEPLOY or held is None or asks_for_one:
            raise error
        warning = f"the tree built from {version} is used: {error.message}"
        return Release(
            app=run.app.name, version=version, commit=held.commit, origin=str(tree),
            warnings=(warning,),
        )  # fmt: skip

    async def undo(self, run: Run) -> bool:
        return True  # the half-made tree has no stamp, and the next release reclaims it
