// A worker that runs, and makes garbage, and a main thread that sleeps. They append a letter for
// what they have done to the file that it is given: r, s. Ends by itself where a sleep was short.
'use strict';
const fs = require('fs');
const { Worker, isMainThread, workerData } = require('worker_threads');

const ROUNDS = 20000;

function run(progress) {
    const kept = [];
    for (;;) {
        for (let i = 0; i < ROUNDS; i++)
            kept[i % 100] = { value: i, text: String(i) };
        fs.writeSync(progress, 'r');
    }
}

function rest(progress) {
    const word = new Int32Array(new SharedArrayBuffer(4));
    for (;;) {
        const begin = process.hrtime.bigint();
        if (Atomics.wait(word, 0, 0, 2) !== 'timed-out' ||
            process.hrtime.bigint() - begin < 2000000n)
            process.exit(3);
        fs.writeSync(progress, 's');
    }
}

if (isMainThread) {
    const progress = fs.openSync(process.argv[2], 'a');
    new Worker(__filename, { workerData: progress }).on('online', () => {
        fs.writeSync(1, 'ready\n');
        rest(progress);
    });
} else {
    run(workerData);
}
