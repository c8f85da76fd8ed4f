"""People label: purposes of comparisons, answers taken back, readings, claims opened, drafts, reports, accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_key = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_NEW = (
    "withdrawal", "reading", "claim_opening", "label_draft", "label_report", "label_session", "label_invitation",
    "label_account",
)  # fmt: skip


def upgrade() -> None:
    """Adds columns and tables; every answer stays as it was."""
    for column in (
        sa.Column("purpose", sa.String(8), nullable=False, server_default="training"),
        sa.Column("original", sa.String(32), nullable=True),
        sa.Column("known", sa.Double, nullable=True),
        sa.Column("shadow", sa.Double, nullable=True),
        sa.Column("aside", sa.Boolean, nullable=False, server_default=sa.false()),
    ):
        op.add_column("comparison", column)
    op.add_column("lease", sa.Column("given_at", sa.Double, nullable=False, server_default="0"))
    _let_answers_be_given_again()
    op.create_index("feedback_evaluator", "feedback", ["run", "evaluator", "seq"])
    _create_work()
    _create_accounts()


def downgrade() -> None:
    """Drops what `upgrade` added, accounts and readings included; refused where an answer was given again."""
    for table in _NEW:
        op.drop_table(table)
    op.drop_index("feedback_evaluator", "feedback")
    _rebuilt_feedback(["comparison", "evaluator", "condition"], ["lease", "condition"], with_attempt=False)
    with op.batch_alter_table("lease") as batch:
        batch.drop_column("given_at")
    for column in ("purpose", "original", "known", "shadow", "aside"):
        op.drop_column("comparison", column)


def _let_answers_be_given_again() -> None:
    _rebuilt_feedback(
        ["comparison", "evaluator", "condition", "attempt"], ["lease", "condition", "attempt"], with_attempt=True
    )


def _rebuilt_feedback(once: list[str], once_a_lease: list[str], *, with_attempt: bool) -> None:
    """Changes what makes an answer unique. SQLite copies the table for it, so its triggers are made again."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    op.drop_index("feedback_lease_once", "feedback")
    if sqlite:
        for name in ("feedback_digest_once", "feedback_place"):
            op.drop_index(name, "feedback")
    with op.batch_alter_table("feedback") as batch:
        batch.drop_constraint("feedback_once", type_="unique")
        if with_attempt:
            batch.add_column(sa.Column("attempt", sa.Integer, nullable=False, server_default="0"))
        else:
            batch.drop_column("attempt")
        batch.create_unique_constraint("feedback_once", once)
    given = sa.text("lease IS NOT NULL")
    op.create_index(
        "feedback_lease_once", "feedback", once_a_lease, unique=True, sqlite_where=given, postgresql_where=given
    )
    if sqlite:
        op.create_index("feedback_place", "feedback", ["run", "kind", "node", "protocol", "seq"])
        op.create_index(
            "feedback_digest_once", "feedback", ["run", "digest"], unique=True,
            sqlite_where=sa.text("digest IS NOT NULL"),
        )  # fmt: skip
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER feedback_refuses_{change.lower()} BEFORE {change} ON feedback "
                "BEGIN SELECT RAISE(ABORT, 'feedback is append-only'); END"
            )


def _create_work() -> None:
    def of(table: str, other: str) -> sa.Column[int]:
        return sa.Column(other, _key, sa.ForeignKey(f"{other}.seq", name=f"{table}_{other}"), primary_key=True)

    op.create_table("withdrawal", of("withdrawal", "feedback"), sa.Column("time", sa.Double, nullable=False))
    op.create_table(
        "reading",
        of("reading", "lease"),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("second", sa.Boolean, nullable=False),
        sa.Column("instrument", sa.Text, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("value", sa.Double, nullable=True),
        sa.Column("time", sa.Double, nullable=False),
    )
    op.create_table(
        "claim_opening",
        of("opening", "lease"),
        sa.Column("claim", sa.Integer, primary_key=True),
        sa.Column("time", sa.Double, nullable=False),
    )
    op.create_table("label_draft", of("draft", "lease"), sa.Column("body", sa.Text, nullable=False))
    op.create_table(
        "label_report",
        of("report", "lease"),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("open", sa.Boolean, nullable=False),
    )


def _create_accounts() -> None:
    op.create_table(
        "label_account",
        sa.Column("seq", _key, primary_key=True),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password", sa.Text, nullable=True),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.UniqueConstraint("project", "name", name="account_name"),
    )
    op.create_table(
        "label_invitation",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("uses_left", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_table(
        "label_session",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("account", _key, sa.ForeignKey("label_account.seq", name="session_account"), nullable=False),
        sa.Column("csrf", sa.String(43), nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
    )
    op.create_index("session_account_expiry", "label_session", ["account", "expires_at"])
