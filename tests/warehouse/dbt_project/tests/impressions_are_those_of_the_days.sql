select modeled.impressions, days.impressions as impressions_of_days
from (select sum(impressions) as impressions from {{ ref('tweets_by_day') }}) as modeled
cross join (select sum(impressions) as impressions from {{ source('engagement', 'engagement_by_day') }}) as days
where modeled.impressions is null or modeled.impressions <> days.impressions
