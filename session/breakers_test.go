package session

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBreakers(t *testing.T) {
	const s, m = time.Second, time.Minute
	sleep := time.Sleep
	for _, tc := range []struct {
		name string
		play func(*breakerCluster)
	}{
		{"the tenth person opens it immediately, for every replica", func(b *breakerCluster) {
			sleep(2 * s)
			b.vouch(30)
			sleep(2 * s)
			b.end(0, 9)
			b.expect("after nine", false)
			b.end(9, 10)
			b.expect("after ten", true)
			sleep(2 * s)
			b.logged(1, 0)
			sleep(3 * m) // the ten are less than half within ten minutes
			b.expect("when the minute is over", false)
			b.logged(1, 1)
		}},
		{"answers of other replicas count once shared", func(b *breakerCluster) {
			b.vouch(40)
			sleep(2 * s)
			b.end(0, 10)
			b.expect("ten of fifty", false)
			sleep(11 * m)
			b.logged(0, 0)
		}},
		{"one person's many sessions are one person", func(b *breakerCluster) {
			for range 100 {
				b.end(0, 1)
			}
			sleep(2 * s)
			b.expect("a leaver", false)
		}},
		{"five persons and half within ten minutes keep it open", func(b *breakerCluster) {
			b.vouch(5)
			sleep(2 * s)
			b.end(0, 5)
			b.expect("five of ten", true)
			sleep(9 * m)
			b.expect("nine minutes later", true)
			sleep(3 * m)
			b.expect("twelve minutes later", false)
			b.logged(1, 1)
		}},
		{"a provider that goes on refusing is not doubted after grace, while it goes on", func(b *breakerCluster) {
			for i := range 35 {
				b.end(10*i, 10*i+10)
				sleep(m)
				if i < 19 {
					b.expect(fmt.Sprint("minute ", i), true)
				}
				if i > 20 {
					b.expect(fmt.Sprint("minute ", i), false)
				}
			}
			b.logged(1, 1)
			sleep(20*m + 10*s)
			b.end(5000, 5010)
			b.expect("ten minutes after it stopped", true)
			sleep(s)
			b.logged(2, 1)
		}},
		{"logins refused at addresses with a proof open it, of ten accounts", func(b *breakerCluster) {
			b.refuse(0, 9)
			sleep(2 * s)
			b.expect("nine", false)
			b.refuse(9, 10)
			sleep(2 * s)
			b.expect("ten", true)
			b.logged(1, 0)
			sleep(3 * m)
			b.expect("when the minute is over", false)
		}},
		{"a login accepted on any replica keeps it closed", func(b *breakerCluster) {
			b.replicas[2].countLogin("corp", "person 99", false, true)
			sleep(2 * s)
			b.refuse(0, 30)
			sleep(2 * s)
			b.expect("thirty", false)
		}},
		{"a login accepted closes it within a minute", func(b *breakerCluster) {
			b.refuse(0, 10)
			sleep(2 * s)
			b.expect("ten", true)
			b.replicas[1].countLogin("corp", "person 3", true, true)
			b.refuse(10, 30)
			sleep(m + 2*s)
			b.expect("a minute after one was accepted", false)
		}},
		{"a stranger cannot open it", func(b *breakerCluster) {
			for i := range 1000 {
				b.replicas[i%3].countLogin("corp", fmt.Sprint("person ", i), false, false)
			}
			sleep(2 * s)
			b.expect("a thousand guesses", false)
		}},
		{"nor a colleague with one account", func(b *breakerCluster) {
			for range 1000 {
				b.refuse(7, 8)
			}
			sleep(2 * s)
			b.expect("a thousand guesses", false)
		}},
		{"another provider is not doubted", func(b *breakerCluster) {
			b.end(0, 10)
			sleep(2 * s)
			if b.replicas[0].isDoubted("sso") {
				b.t.Error("sso is doubted")
			}
			if open := b.replicas[1].openProviders(); !slices.Equal(open, []string{"corp"}) {
				b.t.Errorf("open = %q, want corp", open)
			}
		}},
		{"a store that fails opens nothing, and the counts are shared when it is back", func(b *breakerCluster) {
			b.store.fail(errors.New("connection refused"))
			b.end(0, 12)
			sleep(5 * s)
			b.expect("while it fails", false)
			if _, err := b.replicas[0].currentRow(b.t.Context(), "corp"); err == nil {
				b.t.Error("the row could be read")
			}
			b.store.fail(nil)
			sleep(2 * s)
			b.expect("when it is back", true)
			synctest.Wait()
			if n := strings.Count(b.log.String(), "cannot be shared"); n != 1 {
				b.t.Errorf("the fault was logged %d times, want once:\n%s", n, b.log)
			}
		}},
		{"the tally of a replica that died counts", func(b *breakerCluster) {
			b.end(0, 9)
			sleep(2 * s)
			b.replicas = b.replicas[1:]
			b.end(9, 10)
			b.expect("the tenth", true)
		}},
		{"an unchanged tally is not written", func(b *breakerCluster) {
			b.vouch(3)
			sleep(2 * s)
			before, _ := b.store.state()
			sleep(time.Hour)
			if after, _ := b.store.state(); after != before {
				b.t.Errorf("%d writes in an hour without an answer", after-before)
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				tc.play(newBreakerCluster(t, 20*time.Minute, 0, 0, 0))
			})
		})
	}
}

// TestBreakersAtRandom has replicas whose clocks differ count at random, and
// compares with two naive readings of the history: the provider is doubted if a
// threshold is reached in the shortest windows, and not if none was in the
// longest.
func TestBreakersAtRandom(t *testing.T) {
	const margin = slotLength + 2*time.Second // the resolution, and what clocks differ
	for _, seed := range []uint64{3, 7, 13} { // in each the breaker is often open
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 2))
				s := newBreakerCluster(t, 1000*time.Hour, -900*time.Millisecond, 0, 900*time.Millisecond)
				var all []countedAnswer
				var must, may []bool // by second: a threshold is reached
				rate := 1 + random.IntN(40)
				opened, closed := 0, 0
				for second := range 25 * 60 {
					if second%180 == 0 {
						rate = 1 + random.IntN(60) // of vouched answers to one person ended
					}
					for range random.IntN(3) {
						one := countedAnswer{time.Since(s.began), random.IntN(3), "vouched", random.Int64N(500)}
						if random.IntN(rate) == 0 {
							one.what = "ended"
						}
						all = append(all, one)
						s.count(one)
					}
					time.Sleep(time.Second)
					now := time.Since(s.began)
					for len(all) > 0 && now-all[0].at > 11*time.Minute { // longer than any window
						all = all[1:]
					}
					must = append(must, tripsNaively(all, now, -time.Second, margin, 0))
					may = append(may, tripsNaively(all, now, margin, -time.Second, 2*time.Second))
					got := s.replicas[second%3].isDoubted("corp")
					if allOfLast(must, 4, true) && !got {
						t.Fatalf("after %v a threshold is reached, and the provider is not doubted", now)
					}
					if allOfLast(may, 63, false) && got {
						t.Fatalf("after %v no threshold was reached within a minute, and the provider is doubted", now)
					}
					if got {
						opened++
					} else {
						closed++
					}
				}
				if 4*opened < opened+closed {
					t.Errorf("doubted for %d seconds of %d, want a quarter of them", opened, opened+closed)
				}
			})
		})
	}
}

// tripsNaively computes trips from a list of answers. The windows are longer by
// longerEnded for persons ended and by longerVouched for answers that vouch, of
// which those younger than unknown are not shared yet.
func tripsNaively(all []countedAnswer, now, longerEnded, longerVouched, unknown time.Duration) bool {
	count := func(span time.Duration) (w window) {
		ended := make(map[int64]bool)
		for _, one := range all {
			switch {
			case one.what == "ended" && now-one.at <= span+longerEnded:
				ended[one.person] = true
			case one.what == "vouched" && unknown <= now-one.at && now-one.at <= span+longerVouched:
				w.vouched++
			}
		}
		w.ended = len(ended)
		return w
	}
	return trips(count(time.Minute), count(10*time.Minute))
}

// allOfLast reports whether the last n were all want.
func allOfLast(all []bool, n int, want bool) bool {
	if len(all) < n {
		return false
	}
	for _, one := range all[len(all)-n:] {
		if one != want {
			return false
		}
	}
	return true
}
