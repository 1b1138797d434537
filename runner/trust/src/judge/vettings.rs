//! Which vetting of a module counts: the last word of those who were asked, also where that word has ended since. What was
//! said before it does not come back.

use super::{Judge, Refusal, VettingProblem};
use crate::{
    AllowedSigners, Revocation, SignatureError, Signed, Signer, Statement, VETTING_NAMESPACE, Vetting,
};
use runner_model::Digest;
use runner_model::pattern::NamePattern;

/// A revocation that counts, and whose it is.
struct Revoked {
    revocation: Revocation,
    by: String,
}

impl Judge<'_> {
    /// The vetting that counts.
    pub(super) fn vetted(&self) -> Result<Option<(Digest, Vetting)>, Refusal> {
        let Some(wanted) = &self.rules.vetted_by else { return Ok(None) };
        let signers = self.signers()?;
        let mut said: Vec<(&Signed, Vetting)> = Vec::new();
        let mut problems = Vec::new();
        for signed in &self.candidate.evidence.vettings {
            match self.said(signers, wanted, signed) {
                Ok(vetting) => said.push((signed, vetting)),
                Err(problem) => problems.push((signed.id(), problem)),
            }
        }
        // One that was taken back was the last word until then, also where its own date is yet to come.
        let when = |signed: &Signed, vetting: &Vetting| {
            let revoked = self.revocation(signed.id()).map(|revoked| revoked.revocation.revoked_at);
            revoked.map_or(vetting.reviewed_at, |at| at.min(vetting.reviewed_at))
        };
        if let Some((signed, vetting)) =
            said.into_iter().max_by_key(|(signed, vetting)| (when(signed, vetting), signed.id()))
        {
            match self.holds(signers, signed, &vetting) {
                Ok(()) => return Ok(Some((signed.id(), vetting))),
                Err(problem) => problems.insert(0, (signed.id(), problem)),
            }
        }
        let wanted = wanted.iter().map(ToString::to_string).collect();
        let section = self.section();
        Err(match problems.is_empty() {
            true => Refusal::NotVetted { digest: self.candidate.digest, wanted, section },
            false => Refusal::BadVetting { problems, wanted, section },
        })
    }

    /// Whether all is understood that somebody who may has signed about the module: it could be the last word.
    pub(super) fn understood(&self) -> Result<(), Refusal> {
        let Some(signers) = self.anchors.signers.as_ref() else { return Ok(()) };
        for signed in &self.candidate.evidence.vettings {
            if let Err(problem) = Statement::parse(&signed.statement)
                && let Ok(signer) = self.signer(signers, signed, self.now)
                && signer.is_among(&self.may())
            {
                let (id, by, problem) = (signed.id(), signer.to_string(), Box::new(problem));
                return Err(Refusal::NotUnderstood { id, by, problem });
            }
        }
        Ok(())
    }

    /// Whether somebody who may has revoked the module.
    pub(super) fn not_revoked(&self) -> Result<(), Refusal> {
        match self.revocation(self.candidate.digest) {
            None => Ok(()),
            Some(Revoked { revocation, by }) => Err(Refusal::RevokedModule {
                digest: revocation.of,
                by,
                reason: revocation.reason,
                at: revocation.revoked_at,
            }),
        }
    }

    /// What somebody who may vet has said of this module, when the key was valid that signed it.
    fn said(
        &self,
        signers: &AllowedSigners,
        wanted: &[NamePattern],
        signed: &Signed,
    ) -> Result<Vetting, VettingProblem> {
        let now = self.signer(signers, signed, self.now);
        let parsed = Vetting::parse(&signed.statement);
        let signer = match (now, &parsed) {
            (Err(now), Ok(vetting)) => self
                .signer(signers, signed, vetting.reviewed_at)
                .map_err(|_| VettingProblem::Signature(now))?,
            (now, _) => now.map_err(VettingProblem::Signature)?,
        };
        if !signer.is_among(wanted) {
            return Err(VettingProblem::Stranger { signer: signer.to_string() });
        }
        let vetting = parsed.map_err(VettingProblem::Statement)?;
        if !signer.is(&vetting.reviewer) {
            return Err(VettingProblem::OtherReviewer {
                reviewer: vetting.reviewer,
                signer: signer.to_string(),
            });
        }
        if vetting.component != self.candidate.digest {
            return Err(VettingProblem::OtherModule { of: vetting.component });
        }
        Ok(vetting)
    }

    /// Whether what was said still holds.
    fn holds(
        &self,
        signers: &AllowedSigners,
        signed: &Signed,
        vetting: &Vetting,
    ) -> Result<(), VettingProblem> {
        let id = signed.id();
        if self.policy.trust.revoked.contains(&id) {
            return Err(VettingProblem::RevokedByOperator { file: self.policy.file.clone() });
        }
        if let Some(Revoked { revocation, by }) = self.revocation(id) {
            return Err(VettingProblem::Revoked { by, reason: revocation.reason, at: revocation.revoked_at });
        }
        self.signer(signers, signed, self.now).map_err(VettingProblem::Signature)?;
        if vetting.expires <= self.now {
            return Err(VettingProblem::Expired { at: vetting.expires });
        }
        // The clocks of two machines are never quite the same.
        let soon = self.now.saturating_add(jiff::SignedDuration::from_mins(10)).unwrap_or(self.now);
        if vetting.reviewed_at > soon {
            return Err(VettingProblem::NotYet { at: vetting.reviewed_at });
        }
        Ok(())
    }

    /// Those who may sign or vet modules in this environment, and so revoke them.
    fn may(&self) -> Vec<NamePattern> {
        let lists = self.policy.modules.iter().flat_map(|rules| [&rules.signed_by, &rules.vetted_by]);
        lists.flatten().flatten().cloned().collect()
    }

    /// A revocation of this that somebody has signed who may sign or vet modules in this environment. Others are nobody's business: whoever
    /// stores them could add any.
    fn revocation(&self, of: Digest) -> Option<Revoked> {
        let signers = self.anchors.signers.as_ref()?;
        let may = self.may();
        let read = |signed: &Signed| {
            let Ok(Statement::Revocation(revocation)) = Statement::parse(&signed.statement) else {
                return None;
            };
            if revocation.of != of {
                return None;
            }
            let signer = self
                .signer(signers, signed, self.now)
                .or_else(|_| self.signer(signers, signed, revocation.revoked_at))
                .ok()?;
            signer.is_among(&may).then(|| Revoked { revocation, by: signer.to_string() })
        };
        self.candidate.evidence.revocations.iter().find_map(read)
    }

    fn signer(
        &self,
        signers: &AllowedSigners,
        signed: &Signed,
        at: jiff::Timestamp,
    ) -> Result<Signer, SignatureError> {
        signers.verify(VETTING_NAMESPACE, &signed.statement, &signed.signature, at)
    }
}
