"""Which jobs an operator chooses: the filters of the console's list, of bulk actions, and of
`manage.py replay`.
"""

from jobs.choice.choice import Choice
from jobs.choice.parameters import ChoiceError
from jobs.choice.search import search, search_batches

__all__ = ["Choice", "ChoiceError", "search", "search_batches"]
