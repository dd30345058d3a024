"""Whether sessions and users' lists that keep their promises allow what a crowd did and saw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.helpers.deeds import (
    ENDING_ALL,
    ENDING_ONE,
    GONE,
    LISTING,
    NEVER,
    ROTATING,
    Deed,
    Known,
    id_of,
)
from tests.helpers.history import wrong_values


class CrowdHistory:
    """A history, and what must not be in it; *is_calm* says that no answer was ever lost."""

    def __init__(self, deeds: Sequence[Deed], max_per_user: int, *, is_calm: bool) -> None:
        self.deeds = deeds
        self.max_per_user = max_per_user
        self.is_calm = is_calm
        self.given = {o.token_set: o for o in deeds if o.token_set}
        self.known = {id: Known(id) for id in map(id_of, self.given)}
        self._ending_all: dict[str | None, list[Deed]] = {}
        self._sign_ins: dict[str | None, list[Deed]] = {}
        for o in deeds:
            if o.kind in ENDING_ALL and o.user is not None:
                self._ending_all.setdefault(o.user, []).append(o)
            if o.presented in self.known:
                self.known[o.presented].requests.append(o)
            if o.kind in ENDING_ONE and o.target in self.known:
                self.known[o.target].aimed.append(o)
            if o.signs_in:
                self._sign_ins.setdefault(o.user, []).append(o)
                for id in {o.id_set, o.presented}:
                    if id in self.known:
                        self.known[id].sign_ins.append(o)
        for known in self.known.values():
            known.ended = min(self._ends(known), default=NEVER)

    def violations(self) -> Iterator[str]:
        """Tell what must not be."""
        if len(self.given) != sum(o.token_set is not None for o in self.deeds):
            yield "a token was given twice"
        for o in self.deeds:
            yield from self._cookies(o)
            if o.loaded:
                yield from self._load(o)
            if o.status == 409:
                yield from self._refusal(o)
            if o.signs_in and o.done and not o.token_set:
                yield from self._unanswered_sign_in(o)
            if o.kind == "others" and o.done and o.user is not None and not o.token_set:
                yield f"#{o.number} was answered 200 and ended no other session"
            if o.status == 401:
                yield from self._unknown(o)
            if o.kind in LISTING and o.done and o.listed is not None:
                yield from self._listing(o, o.listed)
            if o.kind in ENDING_ONE and o.done and o.result is False and o.target in self.known:
                yield from self._not_found(o, self.known[o.target])
        yield from wrong_values(self.deeds)

    # What certainly ended

    def _ends(self, known: Known) -> Iterator[int]:
        """Tell when it had certainly ended."""
        for o in known.requests:
            if o.done and not o.late and o.session == known.id:
                if o.kind == "sign-out":
                    yield o.end
                if o.signs_in and o.seen.get("@user") not in (None, o.user):
                    yield o.end
        yield from (o.end for o in known.aimed if o.done and o.result is True)
        for sign_in in known.sign_ins:
            if sign_in.done and sign_in.id_set == known.id:
                for o in self._ending_all.get(sign_in.user, ()):
                    keeps = o.kind != "password" and o.target == known.id
                    if o.done and sign_in.began < o.began and not keeps:
                        yield o.end

    # What may have been

    def _may_end(self, o: Deed, known: Known) -> bool:
        """Tell whether *o* may end the session, whenever."""
        if o.kind in ENDING_ONE and o.target == known.id:
            return o.user in known.users and not (o.done and o.result is False)
        if o.presented == known.id:
            if o.kind == "sign-out":
                return True
            if o.signs_in and known.users - {o.user}:
                return o.status != 409
        if o.kind in ENDING_ALL and o.user in known.users:
            keeps = o.kind != "password" and o.target == known.id
            return not keeps and any(s.user == o.user and s.start < o.over for s in known.sign_ins)
        return False

    def _enders(self, known: Known) -> Iterator[Deed]:
        yield from known.requests
        yield from known.aimed
        for user in known.users:
            yield from self._ending_all.get(user, ())

    def _may_be_ended(self, known: Known, o: Deed) -> bool:
        """Tell whether somebody may have ended the session before *o* ended."""
        return any(
            x.start < o.end and x is not o and self._may_end(x, known) for x in self._enders(known)
        ) or self._may_be_one_too_many(known, o)

    def _may_be_one_too_many(self, known: Known, o: Deed) -> bool:
        seen = [x.start for x in known.requests if x.session == known.id and x.end < o.start]
        alive = max(seen, default=known.began)
        for user in known.users:
            newer: set[object] = set()
            for x in self._sign_ins.get(user, ()):
                id = x.id_set or x.presented
                if x.end > known.began and x.start < o.end and id != known.id:
                    there = self.known.get(id) if id is not None else None
                    if there is None:
                        newer.add(id or x.number)
                    elif there.ended > alive:
                        newer.add(id)
            if len(newer) >= self.max_per_user:
                return True
        return False

    def _may_be_replaced(self, value: str, o: Deed) -> bool:
        """Tell whether another request may have replaced the token before *o* ended."""
        giver, id = self.given[value], id_of(value)
        for x in self.known[id].requests:
            if x.kind not in ROTATING or x is o or x is giver or x.start > o.end:
                continue
            if x.end > giver.start and (
                x.replaces == id or (x.done and x.signs_in and not x.token_set)
            ):
                return True
            if not x.done and x.settled > max(giver.start, o.start):
                return True
        return False

    # What must not be

    def _cookies(self, o: Deed) -> Iterator[str]:
        if o.status not in (200, 401, 409, *(() if self.is_calm else (503, GONE))):
            yield f"#{o.number} was answered {o.status}"
        # What its own commit has acknowledged goes with any answer.
        if not o.done and o.kind not in ("others", "device") and (o.token_set or o.removed):
            yield f"#{o.number} was answered {o.status} with a session cookie"
        if o.removed and o.kind not in ("sign-out", "device"):
            yield f"#{o.number} removed the cookie without being asked to"
        if o.token_set and o.kind not in ROTATING and not (o.kind == "set" and o.session is None):
            yield f"#{o.number}, a {o.kind}, set a session cookie"

    def _load(self, o: Deed) -> Iterator[str]:
        """Check what a token opened."""
        value, id = o.token, o.presented
        assert value is not None
        giver = self.given.get(value)
        if giver is None or id is None:
            yield f"#{o.number} has a token that was never given"
            return
        known = self.known[id]
        if o.session is None:
            if not self._may_be_replaced(value, o) and not self._may_be_ended(known, o):
                yield f"#{o.number} did not see {id}, neither ended nor replaced"
            return
        if known.ended < o.start:
            yield f"#{o.number} saw the session {id} after its end"
        for x in self._replacing(known):
            if x is not giver and x.start > giver.end and x.end < o.start:
                yield f"#{o.number} opened {id} with a token that #{x.number} had replaced"

    def _replacing(self, known: Known) -> Iterator[Deed]:
        for o in known.requests:
            if o.replaces == known.id:
                yield o

    def _refusal(self, o: Deed) -> Iterator[str]:
        fences = (
            x.start < o.end and x.over > o.start and x is not o
            for x in self._ending_all.get(o.user, ())
        )
        if o.signs_in and any(fences):
            return
        is_known = o.token in self.given
        if o.signs_in or not (is_known and self._may_be_replaced(str(o.token), o)):
            yield f"#{o.number}, a {o.kind}, was answered 409 for no reason"

    def _unknown(self, o: Deed) -> Iterator[str]:
        """Check a request whose session was not the user's any more."""
        if o.kind != "others" or not (
            o.presented in self.known and self._may_be_ended(self.known[o.presented], o)
        ):
            yield f"#{o.number}, a {o.kind}, was answered 401 for no reason"

    def _unanswered_sign_in(self, o: Deed) -> Iterator[str]:
        """Check a sign-in that was answered 200 without a cookie."""
        at_once = [x for x in self.deeds if x is not o and x.start < o.end and x.over > o.start]
        if any(x.kind in ENDING_ALL and x.user == o.user for x in at_once):
            return
        if any(x.kind in ENDING_ONE and x.user == o.user and x.result != 0 for x in at_once):
            return
        if any(
            x.presented == o.presented and x.kind in (*ROTATING, "sign-out")
            for x in at_once
            if o.presented
        ):
            return
        if sum(x.signs_in and x.user == o.user for x in at_once) >= self.max_per_user:
            return
        # A sign-in under the user's own session makes that none the younger.
        if o.session in self.known and self._may_be_one_too_many(self.known[o.session], o):
            return
        yield f"#{o.number} was answered 200 and signed nobody in"

    def _coming(self, o: Deed) -> Iterator[Deed]:
        """Return the sign-ins at the same time that gave nobody a token."""
        for x in self._sign_ins.get(o.user, ()):
            if not x.token_set and x.start < o.end and x.end > o.start:
                yield x

    def _not_found(self, o: Deed, known: Known) -> Iterator[str]:
        if known.alive_at(o.user, o.start, o.end):
            yield f"#{o.number} did not find {known.id}, which was there"

    def _listing(self, o: Deed, listed: Sequence[str]) -> Iterator[str]:
        for id in listed:
            if id in self.known and self.known[id].ended < o.start:
                yield f"#{o.number} listed {id} after its end"
            if self.is_calm and id not in self.known and not any(self._coming(o)):
                yield f"#{o.number} listed {id}, which nobody has"
        if len(set(listed)) != len(listed):
            yield f"#{o.number} listed one session twice"
        signed_in = {sign_in.id_set for sign_in in self._sign_ins.get(o.user, ())}
        for id in self.known.keys() & signed_in - set(listed):
            if self.known[id].alive_at(o.user, o.start, o.end):
                yield f"#{o.number} did not list {id}, which was there"
