"""The session as a handler sees it: a mapping of JSON values, and its life."""

from __future__ import annotations

from datetime import UTC, datetime

from app.sessions import token
from app.sessions.errors import NotAuthenticated, SessionCommitted
from app.sessions.flash import Flash, add_flash, shown_flashes
from app.sessions.saving import is_unsaved, save
from app.sessions.stage import COMMITTED, OPEN, REPLACED, refuse_cookie
from app.sessions.user_record import check_id, check_label, check_user
from app.sessions.users import Device
from app.sessions.working_copy import WorkingCopy, proof_of


class Session(WorkingCopy):
    """What the application knows of one client; made by `SessionManager.load`.

    Keys are `str`, values `None`, `bool`, `int` (64 bit), finite `float`, `str`, `list`, `dict` and
    nestings of these. Anything else raises `TypeError` or `ValueError` when it is assigned, or
    when the session is committed if it was put inside a list or dict that is already there. Changes
    inside nested values are found by themselves.

    Every method that changes something raises `SessionReadOnly` in a `read_only` group,
    `SessionCommitted` when the response has left, and `SessionConflict` (409) when the client
    presented a token that another response has just replaced.
    """

    def __repr__(self) -> str:
        return f"<Session {self.id or 'unsaved'}>"

    # What it is

    @property
    def id(self) -> str | None:
        """Public handle of the record, 22 characters; `None` until the session is saved.

        It is safe to show, in a list of devices for example: it does not lead to the token.
        """
        return token.public_id(self._saved.id) if self._saved and not self._ended else None

    @property
    def created(self) -> datetime | None:
        """When the session began (UTC); `None` until it is saved."""
        if self._saved is None or self._ended:
            return None
        return datetime.fromtimestamp(self._saved.created, UTC)

    @property
    def user(self) -> str | None:
        """The user who is signed in."""
        return self._user

    @property
    def authenticated(self) -> datetime | None:
        """When the user last proved who he is (UTC), by `sign_in` or `confirm`.

        `None` where nobody is signed in, and where that is not known: of a session from before it
        was kept.
        """
        proved = proof_of(self)[0]
        return None if proved is None else datetime.fromtimestamp(proved, UTC)

    @property
    def persistent(self) -> bool:
        """Whether the client's cookie outlives its browser session ("remember me").

        Assigning another value replaces the token, for the cookie has to be sent anew.
        """
        return self._is_persistent()

    @persistent.setter
    def persistent(self, value: bool) -> None:
        if value != self.persistent:
            self.regenerate()
            self._persistent = value

    # Messages for the next page

    def flash(self, text: str, level: str = "info") -> None:
        """Keep a message for the next page that shows `flashes()`.

        It is data as any other, up to 20 messages, but none of the mapping's keys. *level* is
        "info", "success", "warning", "error" or another word of up to 20 ASCII letters, digits, `-`
        and `_`. Raises `TypeError` and `ValueError` for what is none.
        """
        add_flash(self, text, level)

    def flashes(self) -> list[Flash]:
        """Return the messages, in order of time, and forget them when a response has shown them.

        That is one with a body and a status below 500; none to HEAD or a prefetch, and none in a
        `read_only` group. On an open WebSocket they are taken out at once, and `commit()` saves it.
        Two responses at the same time may show the same.
        """
        return shown_flashes(self)

    # Its life

    def destroy(self) -> None:
        """End the session: its record is deleted and the client's cookie removed.

        What is set afterwards in the same request begins a new session.
        """
        self._refuse_change(begins=False)
        refuse_cookie(self._stage, "destroy()")
        self._rebase(None)
        self._user = self._persistent = self._proved = None
        self._rotating = False
        self._ended += 1
        self._life += 1

    def regenerate(self) -> None:
        """Keep the data and replace the token; the old one is dead when the response leaves.

        To be called whenever the client gains rights (`sign_in` does it). A session that is not
        saved yet gets a new token anyway. `session.authenticated` stays as it is.
        """
        self._refuse_change(begins=False)
        refuse_cookie(self._stage, "regenerate()")
        self._rotating = True

    def sign_in(
        self, user: str, *, persistent: bool | None = None, label: str | None = None
    ) -> None:
        """Bind the session to *user* under a new token.

        Data that was gathered before anybody signed in is kept; data of a different user is
        dropped, with that user's record. *persistent* sets `session.persistent`; *label*, at most
        100 characters, is what `devices()` calls the session. No state of the presented token
        refuses a sign-in: see app/README.md. Where somebody signs the user out everywhere
        meanwhile, the response is 409.
        """
        check_user(user, "sign_in()")
        check_label(label)
        if self._stage is REPLACED:
            self._resume(user)
        if self._user not in (None, user):
            self.destroy()
        self.regenerate()
        self._gone = False  # what a commit found before stops no sign-in
        self._user, self._signs_in, self._label = user, True, label
        self._proved = self._manager.clock()
        if persistent is not None:
            self._persistent = persistent

    def confirm(self) -> None:
        """Keep that the signed-in user has proved just now who he is, under a new token.

        To be called when the password was asked for again and was right. Raises `NotAuthenticated`
        (401) if nobody is signed in: the session may have ended meanwhile.
        """
        self._refuse_change(begins=False)
        refuse_cookie(self._stage, "confirm()")
        if self._user is None:
            raise NotAuthenticated(
                "confirm() was called where nobody is signed in; call sign_in(user)",
                self._manager.cookie.name,
            )
        self._rotating = True
        self._proved = self._manager.clock()

    def sign_out(self) -> None:
        """End the session; the same as `destroy()`."""
        self.destroy()

    # The user's other sessions

    async def devices(self) -> list[Device]:
        """Return the signed-in user's sessions, the last seen first; nobody has none.

        A sign-in of the same request counts once it is committed. Raises `SessionUnavailable`.
        """
        user, id = self._user, self.id
        if user is None:
            return []
        return await self._ask(lambda since: self._manager.users.devices(user, id, since))

    async def sign_out_device(self, id: str) -> bool:
        """End the session *id* of the signed-in user; return whether he had one of that id.

        Somebody else's is not touched. For this session itself it is `sign_out()`, saved at once.
        Raises `SessionUnavailable`.
        """
        self._refuse_change(begins=False)
        user = self._user
        check_id(id, "sign_out_device()")
        if user is None:
            return False
        if id == self.id and self._stage is OPEN:
            self.sign_out()
            await self.commit()
            return True
        return await self._ask(lambda since: self._manager.users.sign_out(user, id, since))

    async def sign_out_others(self) -> int:
        """End all other sessions of the signed-in user; return how many there were.

        This one gets a new token, for somebody else may hold its cookie: what is changed so far is
        saved at once. Raises as `commit` does, and `NotAuthenticated` (401) if another request has
        ended this session meanwhile: the others go on then.
        """
        self._refuse_change(begins=False)
        way_out = "call manager.sign_out_everywhere(user, keep=self.session)"
        refuse_cookie(self._stage, "sign_out_others()", way_out)
        user, users = self._user, self._manager.users
        if user is None:
            return 0
        if self._signs_in:
            await self.commit()
        saved = self._saved
        if saved is not None:
            # First of all, so that whoever signs in under the present token keeps it not.
            await self._ask(lambda since: users.raise_fence(user, saved.id, since))
            self.regenerate()
            await self.commit()
        if saved is None or self._saved is None:
            raise NotAuthenticated(
                "sign_out_others() was called, and this session ended meanwhile",
                self._manager.cookie.name,
            )
        return await self._ask(lambda since: users.end_all(user, saved.id, since))

    async def commit(self) -> str | None:
        """Save the changes now, rather than before the head of the response leaves.

        Needed only where there is no response to wait for: in a WebSocket's `on_message`, or to
        know that the store has acknowledged before going on. Raises as the response would:
        `SessionTooLarge`, `SessionConflict`, `SessionUnavailable`.

        Return the `Set-Cookie` value that the client is to be sent, if there is one. The response
        of a handler sends it by itself.
        """
        if self._stage is COMMITTED and is_unsaved(self):
            raise SessionCommitted(
                "a list or dict of the session was changed after the response was committed; "
                "change it earlier"
            )
        self._extend_from = self._manager.clock()
        await save(self)
        return self._cookie

    async def refresh(self) -> bool:
        """Read the record again and drop uncommitted changes; return whether it is still there.

        For connections that outlive a request: `False` says that the session was destroyed, has
        expired or got a new token meanwhile (somebody signed in). Raises `SessionUnavailable`.
        """
        record = await self._reload()
        if record is not None:
            self._begin(record)
        return record is not None


def kept_id(keep: Session | None) -> bytes | None:
    """Return the id of the record of the session to *keep*. Raises `TypeError` for what is none."""
    if keep is None:
        return None
    if not isinstance(keep, Session):
        raise TypeError(
            "sign_out_everywhere() takes the session itself, keep=self.session, "
            f"not {type(keep).__name__}"
        )
    return None if keep.id is None else token.record_id(keep.id)
