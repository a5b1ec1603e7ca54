"""The console's pages of bulk actions: the plan, one action, and the list."""

from jobs.admin.bulk import action, listing, plan

__all__ = ["action", "listing", "plan"]
