"""The one-page report: HTML, PDF and plain text from one content. Needs the extra ``report``."""
