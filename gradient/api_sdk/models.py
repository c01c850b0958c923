"""Experiments, projects and log rows."""

from gradient import BaseExperiment, LogRow, MultiNodeExperiment, Project, SingleNodeExperiment

__all__ = ["BaseExperiment", "LogRow", "MultiNodeExperiment", "Project", "SingleNodeExperiment"]
