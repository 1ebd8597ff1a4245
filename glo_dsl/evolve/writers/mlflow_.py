"""MLflow: a database in the directory of the study, or the server that MLFLOW_TRACKING_URI names."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

EXPERIMENT = "glo"
"""Where runs are put, unless MLFLOW_EXPERIMENT_NAME says otherwise."""


QUIETLY = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nothing leaves this machine unasked
    "MLFLOW_LOGGING_LEVEL": "WARNING",  # standard error is the search's
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # not 7, which take minutes: the next generation is the next try
}
"""What its library is told, where the user has not."""


class MLflow:
    """A run of a tracking server or of a database that serves as one."""

    def __init__(self, directory: Path, run: str | None) -> None:
        for name, value in QUIETLY.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        place, uri = None, os.environ.get("MLFLOW_TRACKING_URI")
        if uri is None:
            here = directory.resolve() / "mlruns"
            here.mkdir(parents=True, exist_ok=True)
            place, uri = (here / "artifacts").as_uri(), f"sqlite:///{here / 'mlflow.db'}"
        self._client = MlflowClient(tracking_uri=uri)
        if run is None or not self._again(run):
            experiment = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT), place)
            run = self._client.create_run(experiment, run_name=directory.resolve().name).info.run_id
        self.run: str = run

    def _again(self, run: str) -> bool:
        """Whether the run goes on; it may have been deleted."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.set_terminated(run, "RUNNING")
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise
        return True

    def _experiment(self, name: str, place: str | None) -> str:
        found = self._client.get_experiment_by_name(name)
        number = self._client.create_experiment(name, artifact_location=place) if found is None else found.experiment_id
        return str(number)

    def parameters(self, settings: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        self._client.log_batch(self.run, params=[Param(name, value) for name, value in settings.items()])

    def figures(self, at: int, figures: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        self._client.log_batch(self.run, metrics=[Metric(name, value, now, at) for name, value in figures.items()])

    def text(self, name: str, text: str) -> None:
        self._client.log_text(self.run, text, name)

    def close(self, finished: bool) -> None:
        self._client.set_terminated(self.run, "FINISHED" if finished else "KILLED")
