-- Questions that the tables answer. Each begins with its name.

-- name: revenue
-- What customers pay regularly, by currency and interval, in the smallest unit of the
-- currency, and what that is per month. Discounts, taxes, metered prices and tiers are
-- not counted, and neither are trials and subscriptions whose collection is paused.
select i.currency, i.interval, i.interval_count,
       sum(coalesce(i.unit_amount_decimal, i.unit_amount) * i.quantity) as amount,
       round(sum(coalesce(i.unit_amount_decimal, i.unit_amount) * i.quantity)
             * case i.interval when 'day' then 365 when 'week' then 52 when 'month' then 12 when 'year' then 1 end
             / 12 / i.interval_count) as per_month
from billbus.subscriptions s
join billbus.items i using (key)
where s.livemode = :livemode
  and s.status in ('active', 'past_due')
  and s.record -> 'pause_collection' is null
  and i.usage_type is distinct from 'metered'
  and i.currency = s.currency
group by i.currency, i.interval, i.interval_count
having sum(coalesce(i.unit_amount_decimal, i.unit_amount) * i.quantity) is not null
order by i.currency, i.interval, i.interval_count;

-- name: grace
-- Which customers have an overdue payment, and keep access for now.
select user_id, document -> 'customer_ids' ->> 0 as customer_id, subscription_id, until
from billbus.access
where access = 'grace'
  and key like 'access.' || case when :livemode then 'live' else 'test' end || '.%.customer.%'
order by customer_id;

-- name: ending
-- Which subscriptions end this month, in UTC.
select user_id, customer_id, subscription_id, ends_at
from billbus.subscriptions
where livemode = :livemode
  and ends_at >= date_trunc('month', current_date::timestamp) at time zone 'utc'
  and ends_at < (date_trunc('month', current_date::timestamp) + interval '1 month') at time zone 'utc'
order by ends_at, subscription_id;
