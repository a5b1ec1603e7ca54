"""The console's front page: what is wrong, and how the service, its vendors and workers are."""

from jobs.admin.overview.view import overview_view

__all__ = ["overview_view"]
