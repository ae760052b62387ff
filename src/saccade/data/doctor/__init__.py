"""What is wrong with a data set, how often and where; and a clean copy of it."""

from saccade.data.doctor.clean import check_empty, write_clean
from saccade.data.doctor.examine import Examination, examine
from saccade.data.doctor.findings import CHECKS, Finding, Report

__all__ = ["CHECKS", "Examination", "Finding", "Report", "check_empty", "examine", "write_clean"]
