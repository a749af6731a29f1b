"""Stress tests of training code: what do wrong labels do to it?"""
