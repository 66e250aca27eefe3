#!/usr/bin/python3
"""Reads a subunit v2 stream, the form in which Python's test runners report (python3-subunit, protocol description in its README), and
writes a line of JSON for each test: its id, what became of it, the seconds it took, and the last line of why."""
import json
import re
import sys

from subunit import ByteStreamToStreamResult
from testtools import StreamToDict

EXCEPTION = re.compile(r'[A-Za-z_]\w*(\.\w+)+(: |$)')
OUTCOMES = {'success': 'pass', 'xfail': 'pass', 'skip': 'skip'}


def reason(details):
    for name in ('reason', 'traceback', 'traceback-1'):
        if name in details:
            lines = [line.strip() for line in details[name].as_text().splitlines() if line.strip()]
            # A traceback ends with the exception and what it says, which may take several lines.
            starts = [n for n, line in enumerate(lines) if EXCEPTION.match(line)]
            return ' '.join(lines[starts[-1] if starts else -1:])[:400]
    return ''


def write(test):
    began, ended = test['timestamps']
    print(json.dumps({
        'id': test['id'],
        'outcome': OUTCOMES.get(test['status'], 'fail'),
        'seconds': (ended - began).total_seconds() if began and ended else 0,
        'reason': reason(test['details']),
    }))


result = StreamToDict(write)
result.startTestRun()
ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name='stdout').run(result)
result.stopTestRun()
