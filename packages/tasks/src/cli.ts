#!/usr/bin/env node
throw new Error("the banach command is not written yet");
