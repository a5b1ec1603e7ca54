"""Which jobs an operator chooses: the filters of the console's list, and of bulk actions."""
