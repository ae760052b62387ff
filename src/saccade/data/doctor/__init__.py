"""What is wrong with a data set, how often and where; and a clean copy of it."""

from saccade.data.doctor.clean import check_empty, write_clean
from saccade.data.doctor.examine import Examination, examine, open_parts
from saccade.data.doctor.findings import CHECKS, Finding, Report
from saccade.data.doctor.pairs import examine_pairs, examine_side_by_side, examine_styles

__all__ = [
    "CHECKS",
    "Examination",
    "Finding",
    "Report",
    "check_empty",
    "examine",
    "examine_pairs",
    "examine_side_by_side",
    "examine_styles",
    "open_parts",
    "write_clean",
]
