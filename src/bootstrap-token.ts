#!/usr/bin/env node
/** The bin of that name: `main.ts` tells the two programs apart by the name that they are started with. */
import './main.ts';
