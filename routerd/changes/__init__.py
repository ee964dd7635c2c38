"""The one way by which the configuration changes: read, edit, judge, write and put in force, one change at a time."""
