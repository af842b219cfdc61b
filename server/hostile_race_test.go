// SPDX-License-Identifier: MIT

//go:build race

package server_test

// raceDetector says that memory is mostly that of the race detector.
const raceDetector = true
