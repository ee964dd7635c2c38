"""Events that follow from events: the pure machines of EventRule and DerivedEvent, how history is played through them,
and the tasks that run them. They read the log and say into it, and touch nothing else."""
