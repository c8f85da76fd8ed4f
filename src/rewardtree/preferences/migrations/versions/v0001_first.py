"""The first schema: runs, comparisons with slots, leases, append-only feedback."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_key = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Creates every table, index and trigger."""
    op.create_table(
        "run",
        sa.Column("seq", _key, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.UniqueConstraint("name", name="run_name"),
    )
    _create_comparison()
    op.create_table(
        "lease",
        sa.Column("seq", _key, primary_key=True),
        sa.Column("run", _key, sa.ForeignKey("run.seq", name="lease_run"), nullable=False),
        sa.Column("comparison", _key, sa.ForeignKey("comparison.seq", name="lease_comparison"), nullable=False),
        sa.Column("labeller", sa.Text, nullable=False),
        sa.Column("token", sa.String(43), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.UniqueConstraint("token", name="lease_token"),
        sa.UniqueConstraint("comparison", "labeller", name="lease_once"),
    )
    op.create_index("lease_expiry", "lease", ["run", "state", "expires_at"])
    op.create_index("lease_labeller", "lease", ["run", "labeller", "state"])
    _create_feedback()
    _create_triggers()


def downgrade() -> None:
    """Drops everything that `upgrade` made, answers included."""
    for table in ("feedback", "lease", "comparison", "run"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION feedback_is_append_only()")


def _create_comparison() -> None:
    op.create_table(
        "comparison",
        sa.Column("seq", _key, primary_key=True),
        sa.Column("run", _key, sa.ForeignKey("run.seq", name="comparison_run"), nullable=False),
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("protocol", sa.Text, nullable=False),
        sa.Column("budget", sa.Integer, nullable=False),
        sa.Column("priority", sa.Double, nullable=False),
        sa.Column("slots", sa.Integer, nullable=False),
        sa.Column("slots_left", sa.Integer, nullable=False),
        sa.Column("policy_versions", sa.Text, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("fields", sa.LargeBinary, nullable=True),
        sa.UniqueConstraint("run", "id", name="comparison_name"),
        sa.CheckConstraint("slots_left >= 0 AND slots_left <= slots", name="comparison_slots_left"),
    )
    op.create_index(
        "comparison_waiting",
        "comparison",
        ["run", sa.text("priority DESC"), "seq"],
        sqlite_where=sa.text("slots_left > 0"),
        postgresql_where=sa.text("slots_left > 0"),
    )


def _create_feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("seq", _key, primary_key=True),
        sa.Column("run", _key, sa.ForeignKey("run.seq", name="feedback_run"), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("protocol", sa.Text, nullable=False),
        sa.Column("comparison", _key, sa.ForeignKey("comparison.seq", name="feedback_comparison"), nullable=True),
        sa.Column("lease", _key, sa.ForeignKey("lease.seq", name="feedback_lease"), nullable=True),
        sa.Column("digest", sa.String(32), nullable=True),
        sa.Column("evaluator", sa.Text, nullable=False),
        sa.Column("condition", sa.String(16), nullable=False),
        sa.Column("probability", sa.Double, nullable=True),
        sa.Column("swapped", sa.Boolean, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("readings", sa.Integer, nullable=False),
        sa.Column("weight", sa.Double, nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.UniqueConstraint("comparison", "evaluator", "condition", name="feedback_once"),
    )
    op.create_index("feedback_place", "feedback", ["run", "kind", "node", "protocol", "seq"])
    for name, columns in (
        ("feedback_lease_once", ["lease", "condition"]),
        ("feedback_digest_once", ["run", "digest"]),
    ):
        given = sa.text("lease IS NOT NULL" if "lease" in columns else "digest IS NOT NULL")
        op.create_index(name, "feedback", columns, unique=True, sqlite_where=given, postgresql_where=given)


def _create_triggers() -> None:
    """Lets the database itself refuse to change or remove an answer."""
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER feedback_refuses_{change.lower()} BEFORE {change} ON feedback "
                "BEGIN SELECT RAISE(ABORT, 'feedback is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION feedback_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'feedback is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER feedback_refuses_change BEFORE UPDATE OR DELETE ON feedback "
        "FOR EACH ROW EXECUTE FUNCTION feedback_is_append_only()"
    )
    op.execute(
        "CREATE TRIGGER feedback_refuses_truncate BEFORE TRUNCATE ON feedback "
        "FOR EACH STATEMENT EXECUTE FUNCTION feedback_is_append_only()"
    )
