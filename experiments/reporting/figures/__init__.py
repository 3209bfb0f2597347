"""Figures: drawn with matplotlib, written as SVG and PNG."""
