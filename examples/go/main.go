// Price changes with franz-go: go run . BOOTSTRAP GROUP START, one JSON line a change, until Ctrl-C.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"os/signal"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Change is in yuan and shares; Time in ms, Received in µs since the epoch. What may be null is a pointer.
type Change struct {
	ID        string           `json:"ce_id"` // a header; comes twice, after a crash: drop what you have seen
	Code      string           `json:"code"`
	Price     float64          `json:"price"`
	Previous  *float64         `json:"previous"`
	Change    *float64         `json:"change"`
	ChangeBP  *float64         `json:"change_bp"`
	Time      int64            `json:"time"`
	Received  int64            `json:"received"`
	Volume    *json.Number     `json:"volume"`
	Ticks     int64            `json:"ticks"`
	Threshold float64          `json:"threshold"`
	Origin    map[string]int64 `json:"origin"` // partition and offset of the tick
	Cause     json.RawMessage  `json:"cause"`  // source, run and n of the tick, which the id is made of
	Quality   *string          `json:"quality"`
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	start := map[string]kgo.Offset{"earliest": kgo.NewOffset().AtStart(), "latest": kgo.NewOffset().AtEnd()}[os.Args[3]]
	client, err := kgo.NewClient(kgo.SeedBrokers(os.Args[1]), kgo.ConsumerGroup(os.Args[2]), kgo.DisableAutoCommit(),
		kgo.ConsumeTopics("ashare.price-changes.v1"), kgo.ConsumeResetOffset(start)) // where a new group begins
	must(err)
	defer client.Close()
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt)
	for out := json.NewEncoder(os.Stdout); ctx.Err() == nil; {
		fetches := client.PollFetches(ctx)
		for record := range fetches.RecordsAll() {
			isID := func(header kgo.RecordHeader) bool { return header.Key == "ce_id" }
			change := Change{ID: string(record.Headers[slices.IndexFunc(record.Headers, isID)].Value)}
			must(json.Unmarshal(record.Value, &change))
			must(out.Encode(change))
		}
		must(client.CommitUncommittedOffsets(context.Background()))
		if err := fetches.Err(); ctx.Err() == nil {
			must(err)
		}
	}
}
