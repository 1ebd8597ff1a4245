"""What losses are judged on."""

from glo_dsl.evolve.tasks.check import check_task
from glo_dsl.evolve.tasks.named import TASKS, task_named
from glo_dsl.evolve.tasks.task import Part, Recipe, Task

__all__ = ["TASKS", "Part", "Recipe", "Task", "check_task", "task_named"]
