package stripesim

// The model has every field, whether a rendering shows it or not. Times are in Unix
// seconds. 0 and "" mean "not set".

type subscription struct {
	id, customer, status string
	method               string // collection_method
	description          string
	created, startDate   int64
	planStart            int64 // "start" of old renderings: when the present plan began
	anchor               int64
	periodStart          int64
	periodEnd            int64
	trialStart, trialEnd int64
	trialEndBehavior     string
	cancelAt, canceledAt int64
	atPeriodEnd          bool
	flexible             bool // its billing mode
	endedAt              int64
	reason, feedback     string // cancellation_details
	comment              string
	pause                *pause
	paymentMethod        string
	latestInvoice        string
	testClock            string
	daysUntilDue         int64
	metadata             map[string]string
	discount             *discount
	items                []item
}

type pause struct {
	behavior  string
	resumesAt int64
}

type item struct {
	id       string
	price    price
	quantity int64 // unused if the price is metered
	created  int64
}

type price struct {
	id, product, name   string
	nickname, lookupKey string
	interval            string
	amount              int64  // in cents, unless decimal is set
	decimal             string // in cents, if that is not a whole number
	meter               string // "" if licensed
	created             int64
}

func (p price) metered() bool { return p.meter != "" }

type discount struct {
	id, coupon, name string
	promotionCode    string
	percentOff       string // one of percentOff and amountOff is set
	amountOff        int64
	start, end       int64
}

type customer struct {
	id, email, name string
	created         int64
	metadata        map[string]string
}

type invoice struct {
	id, number, status     string
	reason                 string // billing_reason
	created                int64
	periodStart, periodEnd int64
	finalizedAt, paidAt    int64
	attempts               int64
	nextAttempt            int64
	lines                  []item
	amount                 int64
}

// only returns the item of a subscription that has just one.
func (s *subscription) only() (item, bool) {
	if len(s.items) != 1 {
		return item{}, false
	}
	return s.items[0], true
}

func (s *subscription) ended() bool { return s.endedAt != 0 }

// scheduled reports whether the end of the subscription is scheduled.
func (s *subscription) scheduled() bool { return s.atPeriodEnd || s.cancelAt != 0 }

func (s *subscription) amount() int64 {
	var sum int64
	for _, it := range s.items {
		sum += it.price.amount * it.quantity
	}
	if s.discount != nil {
		sum -= min(sum, s.discount.amountOff)
	}
	return sum
}
