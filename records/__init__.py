"""Measurements that were made once and that the docs quote; not part of the wheel."""
