// SPDX-License-Identifier: MIT

package server

import (
	"math"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	now := time.Unix(1000, 0)
	type step struct {
		n      int
		waited time.Duration
	}
	tests := []struct {
		name  string
		rate  int64
		grace time.Duration
		steps []step
		size  int
		want  time.Duration // from now, -1 for never
	}{
		{"no bound", 0, time.Second, []step{{1, time.Hour}}, 100, -1},
		{"fresh", 100, 10 * time.Second, nil, 0, 10 * time.Second},
		{"fresh with a piece", 100, 10 * time.Second, nil, 500, 15 * time.Second},
		{"waiting uses it up", 100, 10 * time.Second, []step{{0, 4 * time.Second}}, 0, 6 * time.Second},
		{"octets give it back", 100, 10 * time.Second, []step{{200, 4 * time.Second}}, 0, 8 * time.Second},
		{"exactly at the rate", 100, 10 * time.Second, []step{{100, time.Second}, {100, time.Second}}, 0, 10 * time.Second},
		{"too slow", 100, time.Second, []step{{1, 2 * time.Second}}, 0, -990 * time.Millisecond},
		{"credit is bounded", 100, 10 * time.Second, []step{{1 << 30, 0}}, 0, 10*time.Second + paceCredit},
		{"no overflow", 1, 10 * time.Second, []step{{math.MaxInt, 0}}, math.MaxInt, 10*time.Second + paceCredit + 1<<30*time.Second},
		{"no grace", 100, 0, nil, 100, time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPace(tt.rate, tt.grace)
			for _, s := range tt.steps {
				p.add(s.n, s.waited)
			}
			got := p.deadline(now, tt.size)
			if tt.want == -1 {
				if !got.IsZero() {
					t.Fatalf("deadline = %v, want none", got)
				}
				return
			}
			if d := got.Sub(now); d != tt.want {
				t.Fatalf("deadline in %v, want %v", d, tt.want)
			}
		})
	}
}
