"""Tables of the preference store, as the newest migration leaves them.

A run owns comparisons; a comparison has as many slots as labellers may answer it; a lease takes a slot for a
while; feedback is written once and never changed (triggers in the database refuse it): who takes an answer back adds
a withdrawal. Several runs share one database. What belongs to labelling (accounts, invitations, sessions, readings,
opened claims, drafts, reports) stands beside them; accounts belong to a project, the key that runs' names begin with.
"""

import sqlalchemy as sa

REVISIONS = ("0001", "0002")
"""Known schema versions, oldest first; the last one is what this code reads and writes."""

VERSION_TABLE = "rewardtree_version"

OPEN, RELEASED, DONE = "open", "released", "done"
"""States of a lease: it holds a slot; it lost its slot by expiring; its answer is stored."""

metadata = sa.MetaData()

_key = sa.BigInteger().with_variant(sa.Integer, "sqlite")

run = sa.Table(
    "run",
    metadata,
    sa.Column("seq", _key, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.UniqueConstraint("name", name="run_name"),
)

comparison = sa.Table(
    "comparison",
    metadata,
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
    sa.Column("purpose", sa.String(8), nullable=False, server_default="training"),
    sa.Column("original", sa.String(32), nullable=True),
    sa.Column("known", sa.Double, nullable=True),
    sa.Column("shadow", sa.Double, nullable=True),
    sa.Column("aside", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint("run", "id", name="comparison_name"),
    sa.CheckConstraint("slots_left >= 0 AND slots_left <= slots", name="comparison_slots_left"),
)

sa.Index(
    "comparison_waiting",
    comparison.c.run,
    comparison.c.priority.desc(),
    comparison.c.seq,
    sqlite_where=sa.text("slots_left > 0"),
    postgresql_where=sa.text("slots_left > 0"),
)

lease = sa.Table(
    "lease",
    metadata,
    sa.Column("seq", _key, primary_key=True),
    sa.Column("run", _key, sa.ForeignKey("run.seq", name="lease_run"), nullable=False),
    sa.Column("comparison", _key, sa.ForeignKey("comparison.seq", name="lease_comparison"), nullable=False),
    sa.Column("labeller", sa.Text, nullable=False),
    sa.Column("token", sa.String(43), nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
    sa.Column("given_at", sa.Double, nullable=False, server_default="0"),
    sa.UniqueConstraint("token", name="lease_token"),
    sa.UniqueConstraint("comparison", "labeller", name="lease_once"),
    sa.Index("lease_expiry", "run", "state", "expires_at"),
    sa.Index("lease_labeller", "run", "labeller", "state"),
)

feedback = sa.Table(
    "feedback",
    metadata,
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
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.UniqueConstraint("comparison", "evaluator", "condition", "attempt", name="feedback_once"),
    sa.Index("feedback_place", "run", "kind", "node", "protocol", "seq"),
    sa.Index("feedback_evaluator", "run", "evaluator", "seq"),
)

sa.Index(
    "feedback_lease_once",
    feedback.c.lease,
    feedback.c.condition,
    feedback.c.attempt,
    unique=True,
    sqlite_where=sa.text("lease IS NOT NULL"),
    postgresql_where=sa.text("lease IS NOT NULL"),
)

sa.Index(
    "feedback_digest_once",
    feedback.c.run,
    feedback.c.digest,
    unique=True,
    sqlite_where=sa.text("digest IS NOT NULL"),
    postgresql_where=sa.text("digest IS NOT NULL"),
)

withdrawal = sa.Table(
    "withdrawal",
    metadata,
    sa.Column("feedback", _key, sa.ForeignKey("feedback.seq", name="withdrawal_feedback"), primary_key=True),
    sa.Column("time", sa.Double, nullable=False),
)

reading = sa.Table(
    "reading",
    metadata,
    sa.Column("lease", _key, sa.ForeignKey("lease.seq", name="reading_lease"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("second", sa.Boolean, nullable=False),
    sa.Column("instrument", sa.Text, nullable=False),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("value", sa.Double, nullable=True),
    sa.Column("time", sa.Double, nullable=False),
)

claim_opening = sa.Table(
    "claim_opening",
    metadata,
    sa.Column("lease", _key, sa.ForeignKey("lease.seq", name="opening_lease"), primary_key=True),
    sa.Column("claim", sa.Integer, primary_key=True),
    sa.Column("time", sa.Double, nullable=False),
)

label_draft = sa.Table(
    "label_draft",
    metadata,
    sa.Column("lease", _key, sa.ForeignKey("lease.seq", name="draft_lease"), primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)

label_report = sa.Table(
    "label_report",
    metadata,
    sa.Column("lease", _key, sa.ForeignKey("lease.seq", name="report_lease"), primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("open", sa.Boolean, nullable=False),
)

label_account = sa.Table(
    "label_account",
    metadata,
    sa.Column("seq", _key, primary_key=True),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("password", sa.Text, nullable=True),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("created", sa.Double, nullable=False),
    sa.UniqueConstraint("project", "name", name="account_name"),
)

label_invitation = sa.Table(
    "label_invitation",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("project", sa.Text, nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("uses_left", sa.Integer, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
)

label_session = sa.Table(
    "label_session",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("account", _key, sa.ForeignKey("label_account.seq", name="session_account"), nullable=False),
    sa.Column("csrf", sa.String(43), nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
    sa.Index("session_account_expiry", "account", "expires_at"),
)

STANDS = ~sa.select(withdrawal.c.feedback).where(withdrawal.c.feedback == feedback.c.seq).exists()
"""Whether a row of feedback was not taken back."""


def runs_of(project: str) -> sa.ColumnElement[bool]:
    """Whether a run belongs to a project: its name is the project's key, or begins with the key and a slash."""
    return (run.c.name == project) | run.c.name.startswith(f"{project}/", autoescape=True)
