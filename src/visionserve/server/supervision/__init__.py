"""Instances started, proven, watched, replaced and drained, and clients led to those that are well."""
