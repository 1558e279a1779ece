// Package event is how Polis tells others what happened: CloudEvents 1.0, with their attributes
// as properties of the message too (CloudEvents AMQP binding 1.0.2), so that subscriptions
// filter without reading bodies.
package event

import (
	"encoding/json"
	"time"

	"polis/handler/internal/bus"
	"polis/handler/internal/fault"
)

// Queue is the topic of events.
const Queue = "events"

// Event is something that happened to a tenant.
type Event struct {
	ID      string // the same for the same thing, however often it is told: receivers drop what they have seen
	Tenant  string
	Type    string // such as polis.run.completed
	Subject string
	Time    time.Time
	Data    any
}

// The names of properties that subscriptions filter by.
const (
	Tenant = "tenant"
	Engine = "engine"
)

// prefix is of the properties that are attributes: the form that JMS can select by.
const prefix = "cloudEvents_"

func source(tenant string) string { return "/polis/" + tenant }

// properties are the attributes and whose event it is.
func properties(id, tenant, kind, subject string) map[string]string {
	return map[string]string{
		prefix + "specversion": "1.0", prefix + "id": id, prefix + "source": source(tenant), prefix + "type": kind, prefix + "subject": subject,
		Tenant: tenant,
	}
}

// Message is the event in structured mode: the body has its attributes too.
func (e *Event) Message() (bus.Message, error) {
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": e.ID, "source": source(e.Tenant), "type": e.Type,
		"time": e.Time, "subject": e.Subject, "datacontenttype": "application/json", "data": e.Data,
	})
	if err != nil {
		return bus.Message{}, fault.Wrap(fault.Internal, err, "encoding an event")
	}
	p := properties(e.ID, e.Tenant, e.Type, e.Subject)
	p[prefix+"time"] = e.Time.Format(time.RFC3339Nano)
	return bus.Message{ID: e.ID, Body: body, ContentType: "application/cloudevents+json", Subject: e.Type, Properties: p}, nil
}

// Scored is the type of answers to queued requests.
const Scored = "polis.scores"

// Answer is an answer to a queued request in binary mode: the body is the answer alone. It has
// no time of its own: each score says when it was made.
func Answer(id, tenant, engine, request string, body []byte) bus.Message {
	p := properties(id, tenant, Scored, request)
	p[Engine] = engine
	return bus.Message{ID: id, CorrelationID: request, Body: body, ContentType: "application/json", Subject: Scored, Properties: p}
}
