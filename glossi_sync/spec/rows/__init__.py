"""Rows: what a catalogue is generated from. A CSV file, JSON Lines, or the files that a pattern finds.

All three are ``Rows``: they are read one row at a time, as the values of the columns asked for, and again from the
start whenever needed. Where a row stands is found out only when there is something to say about it, by reading again.
Nothing here knows what the values are for.
"""

from glossi_sync.spec.rows.opening import is_pattern, open_rows
from glossi_sync.spec.rows.protocol import ColumnName, Flaw, Row, Rows, RowsError, Where

__all__ = ["ColumnName", "Flaw", "Row", "Rows", "RowsError", "Where", "is_pattern", "open_rows"]
