// SPDX-License-Identifier: MIT

//go:build race

package main

// raceDetector says whether this program can see data races.
const raceDetector = true
