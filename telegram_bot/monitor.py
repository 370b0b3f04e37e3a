"""The loop of the process: receive and answer messages, check alerts, send pending notices, and write heartbeats in between."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot3.errors import NotifierBusyError, NotifierError, StoreError
from bot3.logs import redacted
from bot3.ports.chat import Chat, ChatMessage
from bot3.ports.clock import Clock
from bot3.ports.control import ControlStore, Heartbeat
from bot3.ports.notices import NoticeStore
from bot3.ports.notifier import Message, Notifier
from bot3.usecases.fleet.bot_state import LISTENING, TELEGRAM
from bot3.usecases.operations.notify import notify
from telegram_bot.page import Page, rendered
from telegram_bot.received import Access, access_of, command_of

UNREACHED = "cannot reach Telegram"
LOOK_EVERY = timedelta(seconds=10)
STORES_AWAY = timedelta(seconds=60)
"""Wall time after which an outage of the stores is reported without the queue of notices, because that is in one of them."""
_LONGEST_PAUSE_S = 8.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the loop needs.

    Parameters
    ----------
    chat_id, users : int, collection of int
        The chat, and the users whose commands are answered.
    answer : callable
        Returns the answer to a command as HTML, from its name, its arguments and the user's id.
    look : callable
        Checks for alerts and returns the number of current ones; raises StoreError if the stores are unavailable.
    """

    chat: Chat
    notifier: Notifier
    notices: NoticeStore
    control: ControlStore
    clock: Clock
    chat_id: int
    users: Collection[int]
    answer: Callable[[str, tuple[str, ...], int], str]
    look: Callable[[], int]


class Monitor:
    """Receives messages and sends notices until it is stopped.

    While Telegram is unavailable, notices are delayed; unavailable stores are reported. Neither ends the loop. These errors do: another
    process uses the same token (AlreadyRunningError), Telegram does not accept the token (NotifierRefusedError), or the home was replaced
    by another one (DataError).
    """

    def __init__(self, parts: Parts, *, wait_s: float = 4.0) -> None:
        self._parts, self._wait_s = parts, wait_s
        self._started_at = parts.clock.wall_now()
        self._name: str | None = None
        self._pause_s = 0.0
        self._looked_at: datetime | None = None
        self._away_since: datetime | None = None
        self._is_away_told = False
        self._answered = self._alerts = 0
        self._strangers: set[tuple[int, int | None]] = set()
        self._refused: set[int | None] = set()

    def run(self, *, should_stop: Callable[[], bool]) -> None:
        """Call `step` repeatedly until `should_stop` returns True."""
        while not should_stop():
            self.step()

    def step(self) -> None:
        """Wait for messages once and answer them, check the alerts if that is due, and send up to three pending notices."""
        self._beat()
        for message in self._heard():
            self._receive(message)
            self._beat()
        self._look()
        self._beat()
        self._tell()

    def _heard(self) -> list[ChatMessage]:
        chat = self._parts.chat
        try:
            if self._name is None:
                name = chat.name()
                chat.skip_waiting()
                # Set the name last: if a step before fails, the next attempt must again skip the messages written before the start.
                self._name = name
                log.info("listening", bot=self._name, users=len(self._parts.users))
            found = chat.messages(wait_s=self._wait_s)
        except NotifierBusyError as error:
            self._pause_s = min(max(2.0 * self._pause_s, 1.0), _LONGEST_PAUSE_S)
            log.warning("telegram_away", problem=str(error), again_s=self._pause_s)
            self._beat()
            self._parts.clock.sleep(self._pause_s)
            return []
        self._pause_s = 0.0
        return found

    def _receive(self, message: ChatMessage) -> None:
        access = access_of(message, chat_id=self._parts.chat_id, users=self._parts.users)
        if access is Access.IGNORE:
            self._ignore(message)
            return
        asked = command_of(message.text, bot_name=self._name or "")
        if asked is None:
            return
        name, arguments = asked
        if access is Access.REFUSE or message.user_id is None:
            self._refuse(message.user_id)
            return
        log.info("answered", command=name, user=message.user_id)
        self._answered += 1
        self._send(self._parts.answer(name, arguments, message.user_id))

    def _refuse(self, user: int | None) -> None:
        if user in self._refused or len(self._refused) >= 1_000:
            return
        # Reply once per user: otherwise a member of the group could make this bot flood it.
        self._refused.add(user)
        log.warning("user_refused", user=user)
        self._send(rendered(Page(title="Not permitted", blocks=("Only the users listed in BOT3_TELEGRAM_USERS receive answers.",))))

    def _ignore(self, message: ChatMessage) -> None:
        stranger = (message.chat_id, message.user_id)
        if stranger not in self._strangers and len(self._strangers) < 1_000:
            # Log each stranger once, and never the text of the message.
            self._strangers.add(stranger)
            log.warning("stranger_ignored", chat=message.chat_id, user=message.user_id)

    def _send(self, html: str) -> None:
        try:
            self._parts.chat.answer(html)
        except NotifierError as error:
            # Do not retry: a late answer has no value, the user can send the command again.
            log.warning("answer_lost", problem=str(error))

    def _look(self) -> None:
        wall = self._parts.clock.wall_now()
        if self._looked_at is not None and timedelta(0) <= wall - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = wall
        try:
            self._alerts = self._parts.look()
        except StoreError as error:
            self._miss_stores(error, wall=wall)
        else:
            self._find_stores()

    def _miss_stores(self, error: StoreError, *, wall: datetime) -> None:
        log.warning("stores_away", problem=str(error))
        self._away_since = self._away_since or wall
        if not self._is_away_told and wall - self._away_since >= STORES_AWAY:
            # Send directly: the queue of pending notices is in a store.
            text = redacted(f"The stores have been unavailable since {self._away_since:%H:%M:%S} UTC: {error}")
            self._is_away_told = self._told(Message(title="Alert", lines=(text, "No other alert is sent during this outage.")))

    def _find_stores(self) -> None:
        if self._is_away_told:
            self._is_away_told = not self._told(Message(title="Resolved", lines=("The stores are available again.",)))
        self._away_since = None

    def _told(self, message: Message) -> bool:
        try:
            self._parts.notifier.notify(message)
        except NotifierError as error:
            log.warning("notice_delayed", problem=str(error))
            return False
        return True

    def _tell(self) -> None:
        try:
            notify(self._parts.notices, self._parts.notifier, wall_now=self._parts.clock.wall_now, at_most=3)
        except StoreError as error:
            log.warning("stores_away", problem=str(error))

    def _beat(self) -> None:
        clock = self._parts.clock
        detail: dict[str, str | int] = {"answered": self._answered, "alerts": self._alerts, "users": len(self._parts.users)}
        is_reached = self._name is not None and not self._pause_s
        try:
            refusals = self._parts.notices.refusals()
            detail |= {"waiting": self._parts.notices.waiting(), "refused": refusals.problem, "dropped": refusals.dropped}
            self._parts.control.beat(
                Heartbeat(
                    process=TELEGRAM,
                    pid=os.getpid(),
                    started_at=self._started_at,
                    wall_at=clock.wall_now(),
                    market_at=clock.now(),
                    state=LISTENING if is_reached else UNREACHED,
                    detail=detail,
                )
            )
        except StoreError as error:
            log.warning("beat_lost", problem=str(error))
