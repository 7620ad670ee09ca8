"""The report as one HTML file: tables and drawings, and charts where scripts run."""

from blockwise.report.web.page import to_html

__all__ = ["to_html"]
