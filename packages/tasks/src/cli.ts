#!/usr/bin/env node
console.error("banach: the command is not written yet");
process.exitCode = 1;
