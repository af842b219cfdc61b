// SPDX-License-Identifier: MIT

//go:build linux

package main

import "context"

// metric is a figure of a sample.
type metric struct {
	key, name, unit string
	more            bool // more of it is better
}

var (
	cpuPerRequest = metric{"cpu", "CPU/request", "µs", false}
	userCPU       = metric{"user", "of it user", "µs", false}
	sysCPU        = metric{"sys", "of it system", "µs", false}
	rate          = metric{"rate", "requests/s", "", true}
	median        = metric{"p50", "median latency", "µs", false}
	tail          = metric{"p99", "p99 latency", "µs", false}
	resident      = metric{"rss", "RSS", "MiB", false}
	peak          = metric{"peak", "peak RSS", "MiB", false}
	throughput    = metric{"megabytes", "throughput", "MB/s", true}
)

// scenario is a situation that servers are compared in.
type scenario struct {
	name, about  string
	limit        bool // the C server takes part
	quickRounds  int  // rounds with -quick; 0 leaves the scenario out
	quickServers []string
	metrics      []metric
	measure      func(ctx context.Context, b *bench, server string) (sample, error)
}

var (
	nearest = []string{subject, "fasthttp", "nethttp"}
	closest = []string{subject, limit, "fasthttp", "nethttp"}
)

var allScenarios = []scenario{
	{
		name: "hello", about: "GET /hello, 64 connections: the core", limit: true, quickRounds: 2,
		metrics: []metric{cpuPerRequest, userCPU, sysCPU, rate, median, tail, resident},
		measure: measureWrk(setting{}, wrk{conns: 64, path: "/hello"}),
	},
	{
		name: "hello-1", about: "GET /hello, 1 connection", limit: true,
		metrics: []metric{cpuPerRequest, rate, median, tail},
		measure: measureWrk(setting{}, wrk{conns: 1, path: "/hello"}),
	},
	{
		name: "hello-8", about: "GET /hello, 8 connections", limit: true,
		metrics: []metric{cpuPerRequest, rate, median, tail},
		measure: measureWrk(setting{}, wrk{conns: 8, path: "/hello"}),
	},
	{
		name: "hello-512", about: "GET /hello, 512 connections", limit: true,
		metrics: []metric{cpuPerRequest, rate, median, tail},
		measure: measureWrk(setting{}, wrk{conns: 512, path: "/hello"}),
	},
	{
		name: "pipelined", about: "GET /hello, 64 connections with 16 requests at a time", limit: true,
		quickRounds: 1, quickServers: closest,
		metrics: []metric{cpuPerRequest, rate},
		measure: measureWrk(setting{}, wrk{conns: 64, path: "/hello", script: "pipeline.lua", args: []string{"16"}}),
	},
	{
		name: "users", about: "GET /app/users/42, 64 connections: behind the usual middleware", quickRounds: 1,
		metrics: []metric{cpuPerRequest, userCPU, sysCPU, rate, median, tail},
		measure: measureApp("/app/users/42", "app.lua"),
	},
	{
		name: "post", about: "POST /app/users, 64 connections: the same with a JSON body",
		metrics: []metric{cpuPerRequest, rate, tail},
		measure: measureApp("/app/users", "post.lua"),
	},
	{
		name: "json", about: "GET /json, 64 connections",
		metrics: []metric{cpuPerRequest, rate, median},
		measure: measureWrk(setting{}, wrk{conns: 64, path: "/json"}),
	},
	{
		name: "tls", about: "GET /hello over TLS, 64 connections",
		metrics: []metric{cpuPerRequest, rate, median},
		measure: measureWrk(setting{tls: true}, wrk{conns: 64, path: "/hello"}),
	},
	{
		name: "upstream", about: "GET /upstream, 64 connections: an outbound call for each request",
		metrics: []metric{cpuPerRequest, rate, tail},
		measure: measureUpstream,
	},
	{
		name: "idle", about: "memory of 9,000 idle connections after one request each", quickRounds: 1, quickServers: nearest,
		metrics: []metric{{"conn", "RSS/connection", "B", false}, resident},
		measure: measureIdle,
	},
	{
		name: "slow", about: "GET /slow?ms=5, 400 connections: handlers that block", quickRounds: 1, quickServers: nearest,
		metrics: []metric{rate, median, tail, cpuPerRequest},
		measure: measureWrk(setting{}, wrk{conns: 400, path: "/slow?ms=5"}),
	},
	{
		name: "mixed", about: "GET /hello, 64 connections, beside 50 in /slow?ms=1000, and beside 2,000 that drip a header",
		quickRounds: 1, quickServers: nearest,
		metrics: []metric{
			{"alone_rate", "alone", "req/s", true},
			{"slow_rate", "beside slow", "req/s", true},
			{"slow_kept", "  of alone", "", true},
			{"drip_rate", "beside drips", "req/s", true},
			{"drip_kept", "  of alone", "", true},
			{"alone_p99", "p99 alone", "µs", false},
			{"slow_p99", "p99 beside slow", "µs", false},
			{"drip_p99", "p99 beside drips", "µs", false},
		},
		measure: measureMixed,
	},
	{
		name: "file", about: "GET /file, 64 connections: a file of 256 KiB", quickRounds: 1, quickServers: nearest,
		metrics: []metric{throughput, cpuPerRequest, resident},
		measure: measureWrk(setting{}, wrk{conns: 64, path: "/file"}),
	},
	{
		name: "upload", about: "POST /len, 64 connections: 10,000 bodies of 1 MiB (1,000 with -quick)", quickRounds: 1, quickServers: nearest,
		metrics: []metric{throughput, cpuPerRequest, peak},
		measure: measureUpload,
	},
	{
		name: "cores2", about: "GET /hello, 512 connections, two processors", limit: true, quickRounds: 1, quickServers: closest,
		metrics: []metric{cpuPerRequest, rate, tail},
		measure: measureWrk(setting{cores: 2}, wrk{conns: 512, path: "/hello"}),
	},
	{
		name: "light", about: "GET /hello, 8 connections with pauses of 1 ms, two processors", limit: true, quickRounds: 1, quickServers: closest,
		metrics: []metric{cpuPerRequest, median, tail},
		measure: measureLight,
	},
	{
		name: "allocs", about: "heap allocations of 100,000 GET /hello", quickRounds: 1, quickServers: nearest,
		metrics: []metric{{"objects", "objects/request", "", false}, {"octets", "octets/request", "B", false}},
		measure: measureAllocations,
	},
}
