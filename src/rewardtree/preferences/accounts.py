"""Who may label: accounts, invitations and sessions of a project.

Every function works inside the caller's write transaction. Invitation codes and session tokens are drawn from the
system's randomness, 256 bits each, and only their SHA-256 is stored; passwords are stored as Argon2id (RFC 9106).
"""

import hashlib
import re
import secrets
import shlex
from dataclasses import dataclass
from typing import Any, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from rewardtree.errors import AccountError
from rewardtree.preferences.schema import label_account, label_invitation, label_session

Role = Literal["labeller", "researcher"]
ROLES: tuple[str, ...] = get_args(Role)
SESSION_SECONDS = 14 * 86400.0
SHORTEST, LONGEST = 8, 256
"""Lengths of passwords."""
_NAME = re.compile(r"[^\W_][\w.\- ]{0,38}[\w.]|[^\W_]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A person's account.

    Attributes:
        name: unique in its project.
        role: a labeller answers; a researcher also sees everybody's answers and invites.
        active: whether it may sign in.
        created: seconds since 1970.
    """

    name: str
    role: Role
    active: bool
    created: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """Somebody who is signed in.

    Attributes:
        account: whose.
        csrf: what every changing request must carry.
        expires_at: seconds since 1970.
    """

    account: Account
    csrf: str
    expires_at: float


def hashed(password: str) -> str:
    """The password as it is stored. Takes some 50 ms on purpose, so call it outside of a transaction.

    Raises:
        AccountError: it is too short or too long.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise AccountError(f"a password needs {SHORTEST} to {LONGEST} characters; choose another")
    return str(_hasher().hash(password))


def fits(password: str, stored: str | None) -> bool:
    """Whether a password is the stored one; as slow where none is stored, so that time tells nobody who is known."""
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return bool(_hasher().verify(stored or _nobody(), password[: LONGEST + 1])) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def _hasher() -> Any:
    try:
        from argon2 import PasswordHasher
    except ImportError as error:
        raise AccountError("passwords need argon2; pip install 'rewardtree[label]'") from error
    return PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)  # OWASP's least for Argon2id


_nobodys: list[str] = []


def _nobody() -> str:
    if not _nobodys:
        _nobodys.append(str(_hasher().hash(secrets.token_urlsafe())))
    return _nobodys[0]


def invite(connection: Connection, project: str, role: str, uses: int, expires_at: float) -> str:
    """Makes an invitation; its code is told once.

    Raises:
        AccountError: there is no such role, or it could never be used.
    """
    if role not in ROLES or uses < 1:
        raise AccountError(f"an invitation is for {' or '.join(ROLES)} and for 1 use or more")
    code = secrets.token_urlsafe(32)
    connection.execute(
        sa.insert(label_invitation).values(
            digest=digest(code), project=project, role=role, uses_left=uses, expires_at=expires_at
        )
    )
    return code


def join(connection: Connection, project: str, code: str, name: str, password: str, now: float) -> Account:
    """Makes the account that an invitation allows.

    Args:
        connection: a connection in a write transaction.
        project: whose invitation.
        code: of the invitation.
        name: of the new account.
        password: as `hashed` gave it.
        now: seconds since 1970.

    Raises:
        AccountError: the invitation is unknown, used up or expired, or the name is taken or cannot be one.
    """
    _check_name(name)
    column = label_invitation.c
    role = connection.execute(
        sa.update(label_invitation)
        .where(column.digest == digest(code), column.project == project, column.uses_left > 0, column.expires_at > now)
        .values(uses_left=column.uses_left - 1)
        .returning(column.role)
    ).scalar()
    if role is None:
        raise AccountError("this invitation is unknown, used up or out of date; ask for a new one")
    if find(connection, project, name) is not None:
        raise AccountError(f"the name {name!r} is taken; choose another")
    return put(connection, project, name, role, password, now)


def put(connection: Connection, project: str, name: str, role: str, password: str | None, now: float) -> Account:
    """Makes an account, or gives an existing one this role and password and makes it active; its sessions end.

    Raises:
        AccountError: the name cannot be one, or there is no such role.
    """
    _check_name(name)
    if role not in ROLES:
        raise AccountError(f"there is no role {role!r}; give one of {', '.join(ROLES)}")
    found = find(connection, project, name)
    if found is None:
        connection.execute(
            sa.insert(label_account).values(
                project=project, name=name, role=role, password=password, active=True, created=now
            )
        )
    else:
        mine = label_account.c.seq == found.seq
        connection.execute(sa.update(label_account).where(mine).values(role=role, password=password, active=True))
        end_sessions(connection, found.seq)
    return account_of(find(connection, project, name))


def is_name(name: str) -> bool:
    """Whether an account can have this name."""
    return _NAME.fullmatch(name) is not None


def _check_name(name: str) -> None:
    if not is_name(name):
        raise AccountError(
            "a name has 1 to 40 letters, digits, spaces, dots and hyphens, and begins with a letter or digit"
        )


def find(connection: Connection, project: str, name: str) -> Any:
    """The row of an account, or None."""
    column = label_account.c
    return connection.execute(sa.select(label_account).where(column.project == project, column.name == name)).first()


def check_open(account: Any, name: str, role: str) -> None:
    """Makes sure that an account may be used in a role without a password.

    Args:
        account: its row, or None where it is still to be made.
        name: of the account.
        role: wanted.

    Raises:
        AccountError: it may not sign in, or has another role.
    """
    if account is None:
        return
    again = f"give it a password with --account {shlex.quote(name)} --role {role}, or serve the page without --open"
    if not account.active:
        raise AccountError(f"the account {name!r} may no longer sign in; {again}")
    if account.role != role:
        raise AccountError(f"the account {name!r} is a {account.role}'s, and --open is for a {role}; {again}")


def account_of(row: Any) -> Account:
    """The account of a row."""
    return Account(name=row.name, role=row.role, active=row.active, created=row.created)


def open_session(connection: Connection, account: Any, now: float) -> tuple[str, Session]:
    """Signs an account in, and forgets its sessions that are over.

    Returns:
        The token, which is not stored, and the session.
    """
    column = label_session.c
    connection.execute(sa.delete(label_session).where(column.account == account.seq, column.expires_at <= now))
    token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    row = {"digest": digest(token), "account": account.seq, "csrf": csrf, "expires_at": now + SESSION_SECONDS}
    connection.execute(sa.insert(label_session).values(row))
    return token, Session(account=account_of(account), csrf=csrf, expires_at=now + SESSION_SECONDS)


def session_of(connection: Connection, project: str, token: str, now: float) -> Session | None:
    """The session that a token opens, if it lasts and its account is active."""
    column = label_session.c
    row = connection.execute(
        sa.select(label_account, column.csrf, column.expires_at)
        .join(label_session, column.account == label_account.c.seq)
        .where(column.digest == digest(token), label_account.c.project == project)
        .where(column.expires_at > now, label_account.c.active)
    ).first()
    return None if row is None else Session(account=account_of(row), csrf=row.csrf, expires_at=row.expires_at)


def end_sessions(connection: Connection, account: int) -> None:
    """Signs an account out everywhere."""
    connection.execute(sa.delete(label_session).where(label_session.c.account == account))


def digest(secret: str) -> str:
    """What is stored of a secret that is too long to be guessed."""
    return hashlib.sha256(secret.encode()).hexdigest()
